# The key-value store of Elixir's guide "Distributed tasks and tags", whose C half is test/examples/kv.c:
# the modules that the guide names, with its functions. What a bucket's agent is to run is given as
# module, function and arguments, so that a bucket may live in C.
defmodule KV do
  @moduledoc false

  @doc "Makes this node one of the store's; `table` is a list of `{range_of_first_bytes, node}`."
  def start(table) do
    starter = self()
    :ok = Application.put_env(:kv, :routing_table, table)

    # Linked with their parent, which therefore has to last.
    spawn(fn ->
      {:ok, _pid} = Task.Supervisor.start_link(name: KV.RouterTasks)
      {:ok, _pid} = KV.Registry.start_link(name: KV.Registry)
      send(starter, :kv_started)
      :demo.sleep(:infinity)
    end)

    receive do
      :kv_started -> :ok
    end
  end
end

defmodule KV.Router do
  @moduledoc false

  @doc "Runs the function on the node that has the bucket."
  def route(bucket, module, function, args) do
    first = :binary.first(bucket)

    case Enum.find(table(), fn {range, _node} -> first in range end) do
      nil ->
        raise "could not find entry for #{inspect(bucket)} in table #{inspect(table())}"

      {_range, node} when node == node() ->
        apply(module, function, args)

      {_range, node} ->
        {KV.RouterTasks, node}
        |> Task.Supervisor.async(__MODULE__, :route, [bucket, module, function, args])
        |> TenonHarness.Wait.await()
    end
  end

  def table, do: Application.fetch_env!(:kv, :routing_table)
end

defmodule KV.Registry do
  @moduledoc false
  use GenServer

  def start_link(opts), do: GenServer.start_link(__MODULE__, :ok, opts)

  @doc "`{:ok, pid}` of the bucket, or `:error`."
  def lookup(registry, name), do: TenonHarness.Wait.call(registry, {:lookup, name})

  @doc "The pid of the bucket, which is made when it is not there."
  def create(registry, name), do: TenonHarness.Wait.call(registry, {:create, name})

  @impl GenServer
  def init(:ok), do: {:ok, %{}}

  @impl GenServer
  def handle_call({:lookup, name}, _from, buckets),
    do: {:reply, Map.fetch(buckets, name), buckets}

  def handle_call({:create, name}, _from, buckets) do
    buckets = Map.put_new_lazy(buckets, name, &KV.Bucket.start!/0)
    {:reply, Map.fetch!(buckets, name), buckets}
  end
end

defmodule KV.Bucket do
  @moduledoc false

  @timeout TenonHarness.Wait.deadline_ms()

  def start! do
    {:ok, bucket} = Agent.start_link(Map, :new, [])
    bucket
  end

  def get(bucket, key), do: Agent.get(bucket, Map, :get, [key], @timeout)
  def put(bucket, key, value), do: Agent.update(bucket, Map, :put, [key, value], @timeout)
  def delete(bucket, key), do: Agent.get_and_update(bucket, Map, :pop, [key], @timeout)
end
