defmodule TenonHarness.Collector do
  @moduledoc """
  A process that keeps the messages it gets, for whoever asks for them.
  """

  use GenServer

  def start, do: GenServer.start(__MODULE__, [])

  @doc "All messages so far, the oldest first."
  def messages(collector), do: TenonHarness.Wait.call(collector, :messages)

  @impl GenServer
  def init([]), do: {:ok, []}

  @impl GenServer
  def handle_call(:messages, _from, messages), do: {:reply, Enum.reverse(messages), messages}

  @impl GenServer
  def handle_info(message, messages), do: {:noreply, [message | messages]}
end
