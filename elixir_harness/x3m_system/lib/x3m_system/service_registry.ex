defmodule X3m.System.ServiceRegistry do
  @moduledoc """
  Knows the services of this node and those that other nodes have announced.

  Between nodes its messages are plain sends to this name. It has no clause for anything else.
  """

  use GenServer
  alias X3m.System.Generation

  @exchange_ms 20_000

  def start_link(_opts), do: GenServer.start_link(__MODULE__, :ok, name: __MODULE__)

  @spec find_nodes_with_service(atom) ::
          :not_found | {:local, {module, atom}} | {:remote, %{node => module}}
  def find_nodes_with_service(service) do
    case Generation.current() do
      :rpc_0_9_0 -> GenServer.call(__MODULE__, {:find_nodes_with_service, service})
      :erpc -> find_in_table(service)
    end
  end

  @doc false
  def register_local_services(%{public: %{}, private: %{}} = services) do
    case Generation.current() do
      :rpc_0_9_0 -> send(__MODULE__, {:register_local_services, services})
      :erpc -> :ok = GenServer.call(__MODULE__, {:register_local_services, services})
    end

    :ok
  end

  @impl GenServer
  def init(:ok) do
    Process.flag(:trap_exit, true)
    :ets.new(__MODULE__, [:named_table, :protected, read_concurrency: true])
    Process.send_after(self(), :exchange_services, @exchange_ms)
    {:ok, put_in_table(%{local: %{}, public: %{}, remote: %{}})}
  end

  @impl GenServer
  def handle_call({:find_nodes_with_service, service}, _from, state),
    do: {:reply, find(state, service), state}

  def handle_call({:register_local_services, services}, _from, state),
    do: {:reply, :ok, add_local(state, services)}

  @impl GenServer
  def handle_info({:register_local_services, services}, state),
    do: {:noreply, add_local(state, services)}

  def handle_info(:exchange_services, state) do
    announce(state.public)
    Process.send_after(self(), :exchange_services, @exchange_ms)
    {:noreply, state}
  end

  def handle_info({:introduce_local_services, node}, state) do
    send({__MODULE__, node}, {:register_remote_services, {node(), state.public}})
    {:noreply, state}
  end

  def handle_info({:register_remote_services, {node, services}}, state) do
    remote =
      Enum.reduce(services, state.remote, fn {service, router}, remote ->
        Map.update(remote, service, %{node => router}, &Map.put(&1, node, router))
      end)

    {:noreply, put_in_table(%{state | remote: remote})}
  end

  def handle_info({:unregister_node_services, node}, state) do
    remote =
      for {service, nodes} <- state.remote,
          left = Map.delete(nodes, node),
          map_size(left) > 0,
          into: %{},
          do: {service, left}

    {:noreply, put_in_table(%{state | remote: remote})}
  end

  @impl GenServer
  def terminate(_reason, _state), do: broadcast({:unregister_node_services, node()})

  # 0.9.0 replaces what it announces with each registration; later releases add to it.
  defp add_local(state, %{public: public, private: private}) do
    announce(public)
    local = state.local |> Map.merge(private) |> Map.merge(public)

    announced =
      if Generation.current() == :erpc, do: Map.merge(state.public, public), else: public

    put_in_table(%{state | local: local, public: announced})
  end

  defp announce(services), do: broadcast({:register_remote_services, {node(), services}})

  defp broadcast(message), do: Enum.each(Node.list(), &send({__MODULE__, &1}, message))

  defp put_in_table(state) do
    true = :ets.insert(__MODULE__, {:state, state})
    state
  end

  defp find_in_table(service) do
    [{:state, state}] = :ets.lookup(__MODULE__, :state)
    find(state, service)
  rescue
    ArgumentError -> :not_found
  end

  defp find(%{local: local, remote: remote}, service) do
    case {local, remote} do
      {%{^service => router}, _remote} -> {:local, {router, service}}
      {_local, %{^service => nodes}} -> {:remote, nodes}
      _ -> :not_found
    end
  end
end
