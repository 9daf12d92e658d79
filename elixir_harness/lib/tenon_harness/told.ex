defmodule TenonHarness.ToldRouter do
  @moduledoc "A service that tells a process of each message that is delivered to it."
  use X3m.System.Router
  alias X3m.System.Message

  service :r_told, TenonHarness.ToldHandler

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
