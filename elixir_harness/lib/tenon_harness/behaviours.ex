defmodule TenonHarness.Behaviours do
  @moduledoc """
  What C calls on this node in the tests: functions for tasks, and one server of each behaviour.
  """

  @doc "Tells `test` that it runs, and waits to be ended."
  def hang(test) do
    send(test, {:hangs, self()})
    :demo.sleep(:infinity)
  end

  @doc "The same, and does not let itself be asked to end."
  def hang_on(test) do
    Process.flag(:trap_exit, true)
    hang(test)
  end

  defmodule Events do
    @moduledoc "A handler of a `:gen_event` manager, which passes events on."
    @behaviour :gen_event

    @impl :gen_event
    def init(test), do: {:ok, test}

    @impl :gen_event
    def handle_event(event, test) do
      send(test, {:event, event})
      {:ok, test}
    end

    @impl :gen_event
    def handle_call(query, test), do: {:ok, {:answer, query}, test}
  end

  defmodule Door do
    @moduledoc "A `:gen_statem`: open or closed."
    @behaviour :gen_statem

    @impl :gen_statem
    def callback_mode, do: :handle_event_function

    @impl :gen_statem
    def init(test), do: {:ok, :closed, test}

    @impl :gen_statem
    def handle_event({:call, from}, :state, state, test),
      do: {:keep_state, test, [{:reply, from, state}]}

    def handle_event({:call, from}, wanted, state, test) when wanted in [:open, :closed],
      do: {:next_state, wanted, test, [{:reply, from, {:was, state}}]}

    def handle_event(:cast, wanted, state, test) do
      send(test, {:cast, state, wanted})
      {:next_state, wanted, test}
    end

    def handle_event(:info, message, _state, test) do
      send(test, {:info, message})
      {:keep_state, test}
    end
  end
end
