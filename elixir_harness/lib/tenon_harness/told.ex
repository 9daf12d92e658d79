defmodule TenonHarness.ToldRouter do
  @moduledoc "A service that tells a process of each message that is delivered to it."
  use X3m.System.Router
  alias X3m.System.Message

  service :r_told, TenonHarness.ToldHandler

  def authorize(%Message{}), do: :ok
end

defmodule TenonHarness.LateRouter do
  @moduledoc "The same under a name that nothing else offers, for a service that comes late."
  use X3m.System.Router
  alias X3m.System.Message

  service :r_late, TenonHarness.ToldHandler, :r_told

  def authorize(%Message{}), do: :ok
end

defmodule TenonHarness.ToldHandler do
  @moduledoc false
  alias X3m.System.Message

  @doc "Sends `{:told, message}` to `\"tell\"`, and answers with `\"answer\"` of the raw request."
  def r_told(%Message{raw_request: %{"tell" => pid} = request} = message) do
    send(pid, {:told, message})
    {:reply, Message.return(message, Map.get(request, "answer", {:ok, :told}))}
  end
end

defmodule TenonHarness.BeamScheduler do
  @moduledoc "Schedules on a BEAM node what the tests compare with Tenon's deliveries."
  use X3m.System.Scheduler
  alias X3m.System.Message

  @impl X3m.System.Scheduler
  def save_alarm(%Message{}, _aggregate_id, _state), do: :ok

  @impl X3m.System.Scheduler
  def load_alarms(_from, _until, _state), do: {:ok, []}

  @doc "Retries as Tenon does when it is not told otherwise, and tells of it."
  @impl X3m.System.Scheduler
  def service_responded(%Message{response: {:service_unavailable, service}} = message, _state) do
    send(message.raw_request["tell"], {:retried, service})
    {:retry, 1_000, message}
  end

  def service_responded(%Message{}, _state), do: :ok

  @doc "The id of the message that is scheduled; `time` is that of `:reminder.schedule/3`."
  def schedule(service, raw_request, time) do
    message = Message.new(service, raw_request: raw_request, logger_metadata: [])
    :ok = dispatch(message, "aggregate", [time(time)])
    {:ok, message.id}
  end

  defp time({:in, ms}), do: {:in, ms}
  defp time({:at, us}), do: {:at, DateTime.from_unix!(us, :microsecond)}
end
