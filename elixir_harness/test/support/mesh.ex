defmodule TenonHarness.Mesh do
  @moduledoc """
  Clusters of C nodes and BEAM nodes, looked at by a hidden node that belongs to none of them.

  The functions of `:demo` that are asked for here are those of `demo.so` and of its BEAM stand-in, so
  every node of a cluster is asked in the same way.
  """

  import TenonHarness.BeamNode, only: [on: 2, on: 3]
  alias TenonHarness.{Collector, Wait}

  import TenonHarness.NodeCase, only: [start_beam: 1, start_tenon: 1]

  @doc "A C node and two BEAM nodes that are in sync, and their observer; also as a `setup_all`."
  def start_cluster(_context \\ []) do
    observer = start_beam(hidden: true)
    one = start_beam(partitions: true)
    two = start_beam(partitions: true)
    join(observer, one, two)
    tenon = start_tenon(mesh: true)
    join(observer, one, tenon)
    await_mesh(observer, [tenon, one, two])
    [observer: observer, tenon: tenon, one: one, two: two, all: [tenon, one, two]]
  end

  @doc "Calls a function of `:demo` on a node, as the observer."
  def ask(observer, node, function, args) do
    on(observer, node: node.name, function: function, args: args) do
      :rpc.call(node, :demo, function, args)
    end
  end

  @doc "The process with a global name, as a node sees it."
  def whereis(observer, node, name), do: ask(observer, node, :global_whereis, [name])

  @doc "A server with a global name on a node, and whether it got the name."
  def start_holder(observer, node, name, method, owner),
    do: ask(observer, node, :global_start, [name, method, owner])

  @doc "A process of the observer that keeps the messages it gets."
  def start_collector(observer) do
    {:ok, owner} = on(observer, [], do: Collector.start())
    owner
  end

  def messages(observer, collector),
    do: on(observer, collector: collector, do: Collector.messages(collector))

  @doc "Joins two clusters by a connection of a BEAM node to any node."
  def join(observer, beam, node), do: :pong = ping(observer, beam, node)

  @doc "What a BEAM node gets that pings any node."
  def ping(observer, beam, node) do
    on(observer, beam: beam.name, node: node.name, do: :rpc.call(beam, :net_adm, :ping, [node]))
  end

  @doc "The visible nodes that a node is connected with, sorted."
  def nodes(observer, node) do
    on(observer, node: node.name) do
      case :rpc.call(node, :erlang, :nodes, []) do
        nodes when is_list(nodes) -> Enum.sort(nodes)
        failed -> failed
      end
    end
  end

  @doc "Waits until every node has the others, and the same names as they."
  def await_mesh(observer, nodes) do
    await_known(observer, nodes)
    for node <- nodes, do: :ok = ask(observer, node, :global_sync, [])
  end

  @doc "Waits until `global` of every node knows all the others, and nobody else."
  def await_known(observer, nodes) do
    names = nodes |> Enum.map(& &1.name) |> Enum.sort()

    for node <- nodes do
      Wait.until("#{node.name} to know #{inspect(names -- [node.name])}", fn ->
        known(observer, node) == names -- [node.name]
      end)
    end
  end

  @doc "Whether `global` of every node knows all the others, and nobody else."
  def known?(observer, nodes) do
    names = nodes |> Enum.map(& &1.name) |> Enum.sort()
    Enum.all?(nodes, &(known(observer, &1) == names -- [&1.name]))
  end

  @doc """
  The group of each node, by its name, when they are no longer all together, and those that know each
  other know the same nodes; else nil.
  """
  def partitions(observer, nodes) do
    names = nodes |> Enum.map(& &1.name) |> Enum.sort()
    groups = for node <- nodes, do: {node.name, Enum.sort([node.name | known(observer, node)])}
    apart = groups |> Enum.map(&elem(&1, 1)) |> Enum.uniq()
    if length(apart) > 1 and Enum.sort(Enum.concat(apart)) == names, do: Map.new(groups)
  end

  @doc "The members that `global` of a node knows, sorted."
  def known(observer, node) do
    on(observer, node: node.name) do
      try do
        Enum.sort(Wait.call({:global_name_server, node}, :get_known))
      catch
        :exit, reason -> reason
      end
    end
  end

  @doc "Waits until all nodes see the same process, or `:undefined`, under a name."
  def await_name(observer, nodes, name, pid) do
    for node <- nodes do
      Wait.until("#{inspect(name)} to be #{inspect(pid)} on #{node.name}", fn ->
        whereis(observer, node, name) == pid
      end)
    end
  end
end
