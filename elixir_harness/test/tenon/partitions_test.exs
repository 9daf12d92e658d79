defmodule TenonHarness.PartitionsTest do
  use TenonHarness.NodeCase, async: true
  import TenonHarness.Mesh

  @methods [:random_exit_name, :random_notify_name, :notify_all_name]

  test "of a node without global nothing is known", _context do
    observer = start_beam(hidden: true)
    one = start_beam(partitions: true)
    join(observer, one, start_tenon(mesh: true, args: ["--no-global", "--no-connect-all"]))
    assert on(one, [], do: :global.sync()) == :ok

    assert on(one, [], do: :global.trans({:a_lock, self()}, fn -> :done end, [node()], 0)) ==
             :done

    unless TenonNode.beam?(), do: assert(known(observer, one) == [])
  end

  test "members that lose each other are in no group together, and come back" do
    [observer: observer, tenon: tenon, one: one, two: two, all: all] = start_cluster()
    name = unique()
    {pid, :yes} = start_holder(observer, tenon, name, :random_exit_name, self())

    # Each of the two says that it has lost the other, from OTP 25 on. Whom the third gives up hangs on
    # whom it hears first, one of them or both; in the end nobody is in two groups.
    if String.to_integer(System.otp_release()) >= 25 do
      assert on(one, name: tenon.name, do: Node.disconnect(name))

      # Who is in the group of the C node, and nobody else, has the name that was registered there.
      Wait.until("two groups, and the name in one of them", fn ->
        groups = partitions(observer, all)

        groups && groups[tenon.name] != groups[one.name] &&
          Enum.all?(all, fn node ->
            apart = groups[node.name] != groups[tenon.name]
            whereis(observer, node, name) == if(apart, do: :undefined, else: pid)
          end)
      end)
    end

    # Again and again: what one of them still says of a loss may end what was just joined.
    Wait.until("all to be together", fn ->
      ping(observer, one, two)
      ping(observer, two, tenon)
      known?(observer, all)
    end)

    await_mesh(observer, all)
    await_name(observer, all, name, pid)
  end

  test "a node that dies takes its names along, and nobody else", _context do
    [observer: observer, tenon: tenon, one: one, two: two, all: all] = start_cluster()
    of_c = unique()
    of_beam = unique()
    {c_pid, :yes} = start_holder(observer, tenon, of_c, :random_exit_name, self())
    {beam_pid, :yes} = start_holder(observer, two, of_beam, :random_exit_name, self())
    await_name(observer, all, of_beam, beam_pid)
    Program.signal(two.program, :KILL)
    await_name(observer, [tenon, one], of_beam, :undefined)
    await_known(observer, [tenon, one])
    assert whereis(observer, one, of_c) == c_pid
    TenonNode.kill(tenon)
    await_name(observer, [one], of_c, :undefined)
    await_known(observer, [one])
  end

  for {kind, prefix} <- [{"smaller", "aaa"}, {"greater", "zzz"}] do
    test "a name of two is resolved as it was registered, the C node's name being #{kind}" do
      observer = start_beam(hidden: true)
      beam = start_beam(partitions: true)
      tenon = start_tenon(mesh: true, name: Cluster.unique_node(unquote(prefix)))
      [smaller, greater] = Enum.sort_by([beam, tenon], & &1.name)
      owner = start_collector(observer)

      holders =
        for method <- @methods, node <- [smaller, greater], into: %{} do
          {pid, :yes} = start_holder(observer, node, {:clash, method}, method, owner)
          {{method, node.name}, pid}
        end

      join(observer, beam, tenon)
      await_mesh(observer, [beam, tenon])
      stays = fn method -> holders[{method, smaller.name}] end
      goes = fn method -> holders[{method, greater.name}] end

      for node <- [beam, tenon] do
        assert whereis(observer, node, {:clash, :random_exit_name}) == stays.(:random_exit_name)
        assert whereis(observer, node, {:clash, :notify_all_name}) == :undefined

        assert whereis(observer, node, {:clash, :random_notify_name}) ==
                 stays.(:random_notify_name)
      end

      await_dead(observer, goes.(:random_exit_name))

      expected = [
        {:holder, goes.(:random_notify_name),
         {:global_name_conflict, {:clash, :random_notify_name}}},
        {:holder, stays.(:notify_all_name),
         {:global_name_conflict, {:clash, :notify_all_name}, goes.(:notify_all_name)}},
        {:holder, goes.(:notify_all_name),
         {:global_name_conflict, {:clash, :notify_all_name}, stays.(:notify_all_name)}}
      ]

      Wait.until("the holders to be told", fn ->
        Enum.sort(messages(observer, owner)) == Enum.sort(expected)
      end)
    end
  end

  test "three C nodes and two BEAM nodes find each other from one name", _context do
    observer = start_beam(hidden: true)
    seed = start_beam(partitions: true)
    other = start_beam(partitions: true)
    join(observer, other, seed)
    c = for _ <- 1..3, do: start_tenon(mesh: true, connect: [seed.name])
    all = [seed, other | c]
    await_mesh(observer, all)

    # The demo's server has the name once, whoever came first.
    echo =
      Wait.until("one server to have the name", fn ->
        case Enum.uniq(for node <- all, do: whereis(observer, node, :tenon_echo)) do
          [pid] when is_pid(pid) -> pid
          _several -> nil
        end
      end)

    assert node(echo) in Enum.map(c, & &1.name)

    for node <- all do
      {pid, :yes} = start_holder(observer, node, {:of, node.name}, :random_exit_name, self())
      for node <- all, do: assert(whereis(observer, node, {:of, node(pid)}) == pid)
    end
  end

  test "C nodes are a cluster of their own", _context do
    observer = start_beam(hidden: true)
    first = start_tenon(mesh: true)
    second = start_tenon(mesh: true, connect: [first.name])
    third = start_tenon(mesh: true, connect: [second.name])
    all = [first, second, third]
    await_mesh(observer, all)
    name = unique()
    {pid, :yes} = start_holder(observer, third, name, :random_exit_name, self())
    for node <- all, do: assert(whereis(observer, node, name) == pid)
    TenonNode.kill(third)
    await_name(observer, [first, second], name, :undefined)
  end

  defp unique, do: {:name, Cluster.unique("n")}

  defp await_dead(observer, pid) do
    on observer, pid: pid do
      ref = Process.monitor(pid)

      receive do
        {:DOWN, ^ref, :process, _pid, _reason} -> :ok
      end
    end
  end
end
