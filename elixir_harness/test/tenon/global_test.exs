defmodule TenonHarness.GlobalTest do
  use TenonHarness.NodeCase, async: true
  import TenonHarness.Mesh

  setup_all :start_cluster

  # With nobody in the way: none is tried a second time.
  test "sync returns, and locks and transactions are had at once", %{one: one, two: two} do
    for peer <- [one, two] do
      result =
        on(peer, []) do
          :ok = :global.sync()
          nodes = [node() | Node.list()]
          lock = {:a_lock, self()}
          true = :global.set_lock(lock, nodes, 0)
          true = :global.del_lock(lock, nodes)
          :global.trans({:another_lock, self()}, fn -> :done end, nodes, 0)
        end

      assert result == :done
    end
  end

  test "names of BEAM processes are found and listed",
       %{observer: observer, all: all} = context do
    name = unique()
    owner = start_collector(observer)
    {pid, :yes} = start_holder(observer, context.one, name, :random_exit_name, owner)
    await_name(observer, all, name, pid)
    for node <- all, do: assert(name in ask(observer, node, :global_names, []))
    assert ask(observer, context.tenon, :global_call, [name, {:from, :c}]) == {:from, :c}
    assert ask(observer, context.two, :global_unregister, [name]) == :ok
    for node <- all, do: assert(whereis(observer, node, name) == :undefined)
    for node <- all, do: refute(name in ask(observer, node, :global_names, []))
  end

  test "names of C processes are found, called and taken once",
       %{observer: observer, all: all, tenon: tenon} = context do
    name = unique()
    owner = start_collector(observer)
    {pid, :yes} = start_holder(observer, tenon, name, :random_exit_name, owner)
    assert node(pid) == tenon.name
    # All nodes have it when the registration returns.
    for node <- all, do: assert(whereis(observer, node, name) == pid)

    for beam <- [context.one, context.two] do
      assert on(beam, name: name, do: Wait.call({:global, name}, {:hello, name})) ==
               {:hello, name}

      assert on(beam, name: name, do: :global.register_name(name, self())) == :no
    end

    assert {_other, :no} = start_holder(observer, tenon, name, :random_exit_name, owner)
    assert ask(observer, tenon, :global_unregister, [name]) == :ok
    for node <- all, do: assert(whereis(observer, node, name) == :undefined)
  end

  test "names are given to other processes, from either side",
       %{observer: observer, all: all, tenon: tenon, one: one} do
    name = unique()
    owner = start_collector(observer)
    {first, :yes} = start_holder(observer, one, name, :random_exit_name, owner)
    {second, :no} = start_holder(observer, tenon, name, :random_exit_name, owner)

    for {node, pid} <- [{tenon, second}, {one, first}, {one, second}, {tenon, first}] do
      assert ask(observer, node, :global_reregister, [name, pid, :random_notify_name]) == :yes
      for node <- all, do: assert(whereis(observer, node, name) == pid)
    end

    assert ask(observer, one, :global_unregister, [name]) == :ok
  end

  test "a process that ends loses its name on all nodes",
       %{observer: observer, all: all} = context do
    for node <- [context.tenon, context.one] do
      name = unique()
      owner = start_collector(observer)
      {pid, :yes} = start_holder(observer, node, name, :random_exit_name, owner)
      await_name(observer, all, name, pid)
      on observer, pid: pid, do: Process.exit(pid, :kill)
      await_name(observer, all, name, :undefined)
    end
  end

  test "a lock is had by one at a time", %{observer: observer, tenon: tenon} = context do
    resource = unique()
    assert ask(observer, tenon, :global_set_lock, [resource, :me, @timeout])
    unless TenonNode.beam?(), do: refute(try_lock(observer, context.one, resource))
    unless TenonNode.beam?(), do: refute(try_lock(observer, tenon, resource))
    assert ask(observer, tenon, :global_del_lock, [resource, :me])
    assert try_lock(observer, context.one, resource)
    assert ask(observer, tenon, :global_del_lock, [resource, :you])

    # What :rpc starts on a BEAM node ends, and its lock with it: so a process that lasts.
    holder =
      on(context.two, resource: resource) do
        owner = self()

        holder =
          spawn(fn ->
            true = :global.set_lock({resource, :me})
            send(owner, :locked)
            Process.sleep(:infinity)
          end)

        receive do
          :locked -> holder
        end
      end

    refute try_lock(observer, tenon, resource)
    on context.two, holder: holder, do: Process.exit(holder, :kill)
    assert ask(observer, tenon, :global_set_lock, [resource, :you, @timeout])
    assert ask(observer, tenon, :global_del_lock, [resource, :you])
  end

  @tag :tenon_only
  test "a lock of C keeps a transaction of a BEAM node waiting",
       %{observer: observer, tenon: tenon, one: one} do
    resource = unique()

    try_it = fn ->
      on(one, resource: resource) do
        nodes = [node() | Node.list()]
        :global.trans({resource, self()}, fn -> :done end, nodes, 0)
      end
    end

    assert ask(observer, tenon, :global_set_lock, [resource, :me, @timeout])
    assert try_it.() == :aborted
    assert ask(observer, tenon, :global_del_lock, [resource, :me])
    assert try_it.() == :done
  end

  test "a transaction runs with the lock", %{observer: observer, tenon: tenon, one: one} do
    resource = unique()
    {server, :yes} = start_holder(observer, one, unique(), :random_exit_name, self())
    assert ask(observer, tenon, :global_trans, [resource, server]) == resource
    assert ask(observer, tenon, :global_set_lock, [resource, :anybody, @timeout])
    assert ask(observer, tenon, :global_del_lock, [resource, :anybody])
  end

  test "a name server answers what members ask it", %{observer: observer} = context do
    for node <- context.all do
      others = context.all |> List.delete(node) |> Enum.map(& &1.name) |> Enum.sort()
      call = fn request -> gns_call(observer, node, request) end
      assert Enum.sort(call.(:get_known)) == others
      assert Enum.sort(call.(:get_synced)) == others
      assert call.(:get_names_ext) == []
      assert is_integer(call.(:get_protocol_version))
      assert call.({:sync, others}) == :ok
    end
  end

  test "a name is told without its lock, by a message", %{observer: observer} = context do
    name = unique()
    {pid, :yes} = start_holder(observer, context.tenon, name, :random_exit_name, self())

    for node <- context.all do
      told =
        on(observer, node: node.name, name: name) do
          send({:global_name_server, node}, {:whereis, name, {self(), :told}})

          receive do
            {:told, pid} -> pid
          end
        end

      assert told == pid
    end
  end

  test "a node that joins later is told of all names, and known to all",
       %{observer: observer, all: all} = context do
    name = unique()
    {pid, :yes} = start_holder(observer, context.tenon, name, :random_exit_name, self())
    late = start_beam(partitions: true)
    join(observer, late, context.two)
    await_mesh(observer, [late | all])
    assert whereis(observer, late, name) == pid
    assert on(late, name: name, do: Wait.call({:global, name}, :late)) == :late

    {late_pid, :yes} = start_holder(observer, late, {name, :late}, :random_exit_name, self())
    await_name(observer, all, {name, :late}, late_pid)
    Program.stop(late.program)
    await_name(observer, all, {name, :late}, :undefined)
    await_known(observer, all)
  end

  defp try_lock(observer, node, resource),
    do: ask(observer, node, :global_set_lock, [resource, :you, 1])

  defp unique, do: {:name, Cluster.unique("n"), [1.5, %{a: 1}]}

  defp gns_call(observer, node, request) do
    on(observer, node: node.name, request: request) do
      Wait.call({:global_name_server, node}, request)
    end
  end
end
