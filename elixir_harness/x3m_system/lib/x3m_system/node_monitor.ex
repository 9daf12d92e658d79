defmodule X3m.System.NodeMonitor do
  @moduledoc """
  Asks every visible node that comes up for its services, and forgets those of one that goes.
  """

  use GenServer
  alias X3m.System.ServiceRegistry

  def start_link(_opts), do: GenServer.start_link(__MODULE__, :ok, name: __MODULE__)

  @impl GenServer
  def init(:ok) do
    :ok = :net_kernel.monitor_nodes(true)
    {:ok, :no_state}
  end

  @impl GenServer
  def handle_info({:nodeup, node}, state) do
    send({ServiceRegistry, node}, {:introduce_local_services, node()})
    {:noreply, state}
  end

  def handle_info({:nodedown, node}, state) do
    send(ServiceRegistry, {:unregister_node_services, node})
    {:noreply, state}
  end
end
