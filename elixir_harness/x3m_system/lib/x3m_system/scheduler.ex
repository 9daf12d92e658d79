defmodule X3m.System.Scheduler do
  @moduledoc """
  Dispatches messages at a time or after a delay, as often as `c:service_responded/2` asks for.

  Alarms are kept by the callbacks of the module that uses this one: those of the next
  `2 * in_memory_interval` milliseconds have a timer, the others are loaded when they are near.
  """

  alias X3m.System.{Dispatcher, Message}

  @callback save_alarm(Message.t(), aggregate_id :: String.t(), state :: any) ::
              :ok | {:ok, Message.t()}
  @callback load_alarms(from :: nil | DateTime.t(), until :: DateTime.t(), state :: any) ::
              {:ok, [Message.t()]} | {:error, any}
  @callback service_responded(Message.t(), state :: any) ::
              :ok | {:retry, in_ms :: non_neg_integer, Message.t()}
  @callback in_memory_interval() :: pos_integer
  @callback dispatch_timeout(Message.t()) :: pos_integer
  @optional_callbacks in_memory_interval: 0, dispatch_timeout: 1

  defmacro __using__(_opts) do
    quote do
      use GenServer
      @behaviour X3m.System.Scheduler

      def start_link(state \\ %{}),
        do: GenServer.start_link(__MODULE__, state, name: __MODULE__)

      def dispatch(message, aggregate_id, time),
        do: GenServer.call(__MODULE__, {:schedule, message, aggregate_id, time})

      def in_memory_interval, do: :timer.hours(6)
      def dispatch_timeout(_message), do: 5_000
      defoverridable in_memory_interval: 0, dispatch_timeout: 1

      @impl GenServer
      def init(state) do
        send(self(), :load)
        {:ok, %{client: state, until: nil, known: MapSet.new()}}
      end

      @impl GenServer
      def handle_call({:schedule, message, aggregate_id, time}, _from, state) do
        {:reply, :ok,
         X3m.System.Scheduler.schedule(__MODULE__, message, aggregate_id, time, state)}
      end

      @impl GenServer
      def handle_info(:load, state),
        do: {:noreply, X3m.System.Scheduler.load(__MODULE__, state)}

      def handle_info({:deliver, message}, state) do
        scheduler = self()
        client = state.client
        spawn(fn -> X3m.System.Scheduler.deliver(__MODULE__, scheduler, message, client) end)
        {:noreply, state}
      end

      def handle_info({:done, id}, state),
        do: {:noreply, %{state | known: MapSet.delete(state.known, id)}}
    end
  end

  @doc false
  def schedule(module, message, aggregate_id, time, state) do
    {at, in_ms} = due(time)
    message = message |> Message.assign(:dispatch_at, at) |> Message.assign(:dispatch_attempts, 0)

    message =
      case module.save_alarm(message, aggregate_id, state.client) do
        :ok -> message
        {:ok, %Message{} = other} -> other
      end

    if DateTime.compare(at, state.until) == :lt, do: remember(message, in_ms, state), else: state
  end

  @doc false
  def load(module, state) do
    interval = module.in_memory_interval()
    until = DateTime.add(state.until || DateTime.utc_now(), 2 * interval, :millisecond)
    {:ok, messages} = module.load_alarms(state.until, until, state.client)
    Process.send_after(self(), :load, interval)

    messages
    |> Enum.reject(&MapSet.member?(state.known, &1.id))
    |> Enum.reduce(%{state | until: until}, &remember(&1, ms_until(&1.assigns.dispatch_at), &2))
  end

  @doc false
  def deliver(module, scheduler, message, client) do
    attempts = Map.get(message.assigns, :dispatch_attempts, 0)

    %{message | reply_to: self()}
    |> Message.assign(:dispatch_attempts, attempts + 1)
    |> Dispatcher.dispatch(timeout: module.dispatch_timeout(message))
    |> module.service_responded(client)
    |> case do
      :ok ->
        send(scheduler, {:done, message.id})

      {:retry, in_ms, %Message{} = again} ->
        new = %{request: nil, valid?: true, response: nil, events: [], halted?: false}
        Process.send_after(scheduler, {:deliver, Map.merge(again, new)}, in_ms)
    end
  end

  defp due(in: ms), do: {DateTime.add(DateTime.utc_now(), ms, :millisecond), ms}
  defp due(at: %DateTime{} = at), do: {at, ms_until(at)}

  defp ms_until(at), do: DateTime.diff(at, DateTime.utc_now(), :millisecond)

  # What is past already is late; a delay of nothing is not.
  defp remember(message, in_ms, state) do
    if in_ms < 0,
      do: send(self(), {:deliver, Message.assign(message, :late?, true)}),
      else: Process.send_after(self(), {:deliver, message}, in_ms)

    %{state | known: MapSet.put(state.known, message.id)}
  end
end
