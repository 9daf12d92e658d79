defmodule TenonHarness.PgTest do
  use TenonHarness.NodeCase, async: true

  # Each test has a scope of its own, here and on the Tenon node. A scope process of a BEAM node
  # dies of a message that it does not expect: that it is still the same one is part of each test.
  setup do
    scope = String.to_atom(Cluster.unique("scope"))
    {:ok, pid} = start_supervised(%{id: scope, start: {:pg, :start_link, [scope]}})
    tenon = start_connected_tenon(pg_scope: scope)
    [echo] = rpc(tenon.name, :get_local_members, [scope, :tenon_demo])
    await_members(scope, :tenon_demo, [echo])
    {:ok, scope: scope, scope_pid: pid, tenon: tenon, name: tenon.name, echo: echo}
  end

  describe "members on the Tenon node" do
    test "are seen here and can be sent to", %{scope: scope, echo: echo} do
      assert :pg.which_groups(scope) == [:tenon_demo]
      assert :pg.get_members(scope, :tenon_demo) == [echo]
      assert :pg.get_local_members(scope, :tenon_demo) == []
      for pid <- :pg.get_members(scope, :tenon_demo), do: GenServer.cast(pid, {self(), :hello})
      assert_receive :hello
    end

    test "join and leave groups of any name", context do
      %{scope: scope, name: name, echo: echo} = context

      names = [
        "text",
        {:a, 1},
        to_charlist("chars"),
        [],
        7,
        -1.5,
        %{a: [1], b: {2}},
        123_456_789_012_345_678
      ]

      for group <- names do
        assert rpc(name, :join, [scope, group, echo]) == :ok
        await_members(scope, group, [echo])
      end

      assert sorted(:pg.which_groups(scope)) == sorted([:tenon_demo | names])
      assert sorted(rpc(name, :which_groups, [scope])) == sorted([:tenon_demo | names])
      assert sorted(rpc(name, :which_local_groups, [scope])) == sorted([:tenon_demo | names])

      for group <- names do
        assert rpc(name, :leave, [scope, group, echo]) == :ok
        await_members(scope, group, [])
      end

      assert :pg.which_groups(scope) == [:tenon_demo]
      still_the_same(context)
    end

    test "are as often in a group as they have joined", context do
      %{scope: scope, name: name, echo: echo} = context
      for _ <- 1..3, do: assert(rpc(name, :join, [scope, :often, echo]) == :ok)
      await_members(scope, :often, [echo, echo, echo])
      assert rpc(name, :get_local_members, [scope, :often]) == [echo, echo, echo]
      assert rpc(name, :leave, [scope, :often, echo]) == :ok
      await_members(scope, :often, [echo, echo])
      for _ <- 1..2, do: assert(rpc(name, :leave, [scope, :often, echo]) == :ok)
      assert rpc(name, :leave, [scope, :often, echo]) == :not_joined
      await_members(scope, :often, [])
      still_the_same(context)
    end

    test "are out of every group when they end",
         %{scope: scope, name: name, echo: echo} = context do
      pid = Node.spawn(name, :demo, :sleep, [60_000])

      for group <- [:a, :a, :b, :tenon_demo],
          do: assert(rpc(name, :join, [scope, group, pid]) == :ok)

      await_members(scope, :a, [pid, pid])
      await_members(scope, :tenon_demo, [echo, pid])
      Process.exit(pid, :kill)
      await_members(scope, :tenon_demo, [echo])
      await_groups(scope, [:tenon_demo])

      Wait.until("the end on the node itself", fn ->
        rpc(name, :which_groups, [scope]) == [:tenon_demo]
      end)

      still_the_same(context)
    end

    test "are gone with their node", %{scope: scope, tenon: tenon} = context do
      TenonNode.kill(tenon)
      await_members(scope, :tenon_demo, [])
      still_the_same(context)
    end

    @tag :pg_monitor
    test "are reported to who monitors the group", %{scope: scope, name: name, echo: echo} do
      {ref, []} = apply(:pg, :monitor, [scope, :watched])
      assert rpc(name, :join, [scope, :watched, echo]) == :ok
      assert_receive {^ref, :join, :watched, [^echo]}
      assert rpc(name, :leave, [scope, :watched, echo]) == :ok
      assert_receive {^ref, :leave, :watched, [^echo]}
    end
  end

  describe "members here" do
    test "are seen by the Tenon node", %{scope: scope, name: name, echo: echo} do
      me = self()
      :ok = :pg.join(scope, :mine, me)
      await_members_there(name, scope, :mine, [me])
      :ok = :pg.join(scope, :mine, [me, me])
      await_members_there(name, scope, :mine, [me, me, me])
      assert rpc(name, :get_local_members, [scope, :mine]) == []
      :ok = :pg.leave(scope, :mine, [me, me])
      await_members_there(name, scope, :mine, [me])
      :ok = :pg.join(scope, :tenon_demo, me)
      await_members_there(name, scope, :tenon_demo, [echo, me])
      assert sorted(rpc(name, :which_groups, [scope])) == [:mine, :tenon_demo]
      assert rpc(name, :which_local_groups, [scope]) == [:tenon_demo]
      :ok = :pg.leave(scope, :mine, me)
      await_members_there(name, scope, :mine, [])
    end

    test "are forgotten there when they end", %{scope: scope, name: name} do
      pid = spawn(fn -> Process.sleep(:infinity) end)
      for group <- [:x, :x, :y], do: :ok = :pg.join(scope, group, pid)
      await_members_there(name, scope, :x, [pid, pid])
      Process.exit(pid, :kill)
      await_members_there(name, scope, :x, [])
      await_members_there(name, scope, :y, [])
    end

    test "are forgotten there when the scope or the node ends", %{
      scope: scope,
      name: name,
      echo: echo
    } do
      other = start_beam()
      assert on(other, name: name, do: Node.ping(name)) == :pong

      pid =
        on other, scope: scope do
          {:ok, _} = :pg.start(scope)
          pid = Process.whereis(:init)
          :ok = :pg.join(scope, :theirs, [pid, pid])
          pid
        end

      await_members_there(name, scope, :theirs, [pid, pid])
      await_members_there(name, scope, :tenon_demo, [echo])
      on other, scope: scope, do: Process.exit(Process.whereis(scope), :kill)
      await_members_there(name, scope, :theirs, [])

      on other, scope: scope do
        restart = fn restart ->
          case :pg.start(scope) do
            {:ok, _pid} -> :ok
            {:error, _still_registered} -> restart.(restart)
          end
        end

        restart.(restart)
        :ok = :pg.join(scope, :theirs, Process.whereis(:init))
      end

      await_members_there(name, scope, :theirs, [pid])

      Wait.until("the member on the other", fn ->
        on(other, scope: scope, do: :pg.get_members(scope, :tenon_demo)) == [echo]
      end)

      Program.signal(other.program, :KILL)
      await_members_there(name, scope, :theirs, [])
    end
  end

  test "whoever comes first, both sides know everything", %{name: name} do
    later = String.to_atom(Cluster.unique("later"))
    second = start_tenon(pg_scope: later)
    me = self()
    {:ok, _} = start_supervised(%{id: later, start: {:pg, :start_link, [later]}})
    :ok = :pg.join(later, :early, me)
    assert Node.ping(second.name) == :pong
    [echo] = rpc(second.name, :get_local_members, [later, :tenon_demo])
    await_members(later, :tenon_demo, [echo])
    await_members_there(second.name, later, :early, [me])
    assert rpc(name, :get_members, [later, :early]) == []
    stop_supervised(later)
    await_members_there(second.name, later, :early, [])
    {:ok, _} = start_supervised(%{id: later, start: {:pg, :start_link, [later]}})
    await_members(later, :tenon_demo, [echo])
  end

  test "a connection that breaks again and again leaves both sides with the truth", context do
    %{scope: scope, name: name, echo: echo} = context
    me = self()
    :ok = :pg.join(scope, :mine, me)

    for round <- 1..5 do
      Node.disconnect(name)
      :ok = :pg.join(scope, {:round, round}, me)
      Wait.until("pong", fn -> Node.ping(name) == :pong end)
      assert rpc(name, :join, [scope, {:c, round}, echo]) == :ok
      assert rpc(name, :leave, [scope, {:c, round}, echo]) == :ok
      await_members(scope, :tenon_demo, [echo])
      await_members_there(name, scope, {:round, round}, [me])
      await_members_there(name, scope, :mine, [me])
    end

    # What is told of the last of the groups there may still be under way.
    await_groups(scope, [:mine, :tenon_demo | for(i <- 1..5, do: {:round, i})])
    still_the_same(context)
  end

  test "the default scope is :pg", %{name: name} do
    tenon = start_tenon()
    other = start_beam()
    {:ok, _} = on(other, [], do: :pg.start(:pg))
    assert on(other, name: tenon.name, do: Node.ping(name)) == :pong
    [echo] = rpc(tenon.name, :get_local_members, [:tenon_demo])

    Wait.until("the member", fn ->
      on(other, [], do: :pg.get_members(:tenon_demo)) == [echo]
    end)

    assert rpc(tenon.name, :get_members, [:tenon_demo]) == [echo]
    assert rpc(name, :get_members, [:pg, :tenon_demo]) == []
  end

  # A scope of a BEAM node ends of most of these.
  @tag :tenon_only
  test "no message breaks the scope of the Tenon node", context do
    %{scope: scope, name: name, echo: echo} = context
    me = self()
    ref = make_ref()

    for message <- [
          :junk,
          {:discover, :no_pid},
          {:join, me, :g, [me]},
          {:leave, me, me, [:g]},
          {:"$gen_cast", {:sync, me, :no_list}},
          {:"$gen_cast", {:sync, :no_pid, []}},
          {:"$gen_call", {me, ref}, {:join_local, :g, me}},
          {:DOWN, ref, :process, me, :normal},
          {:update, me, []},
          {:nodedown, node()}
        ] do
      send({scope, name}, message)
    end

    # What a scope says of groups and members that are none is left out, the rest is taken.
    send({scope, name}, {:"$gen_cast", {:sync, me, [{:good, [me, :bad]}, :bad, {:empty, []}]}})
    await_members_there(name, scope, :good, [me])
    send({scope, name}, {:leave, me, [me, me], [:good, :never, :good]})
    await_members_there(name, scope, :good, [])
    assert rpc(name, :get_members, [scope, :tenon_demo]) == [echo]
    still_the_same(context)
  end

  test "what cannot be done is refused as on a BEAM node", %{scope: scope, name: name} do
    me = self()
    assert {:badrpc, {:EXIT, {{:nolocal, ^me}, _}}} = rpc(name, :join, [scope, :g, me])
    assert {:badrpc, {:EXIT, {:badarg, _}}} = rpc(name, :which_groups, [:no_such_scope])
    assert rpc(name, :get_members, [:no_such_scope, :g]) == []
  end

  defp rpc(name, function, args), do: :rpc.call(name, :pg, function, args)

  defp await_members(scope, group, pids) do
    Wait.until("#{inspect(group)} here: #{inspect(pids)}", fn ->
      sorted(:pg.get_members(scope, group)) == sorted(pids)
    end)
  end

  defp await_groups(scope, groups) do
    Wait.until("the groups here: #{inspect(groups)}", fn ->
      sorted(:pg.which_groups(scope)) == sorted(groups)
    end)
  end

  defp await_members_there(name, scope, group, pids) do
    Wait.until("#{inspect(group)} there: #{inspect(pids)}", fn ->
      sorted(rpc(name, :get_members, [scope, group])) == sorted(pids)
    end)
  end

  defp still_the_same(%{scope: scope, scope_pid: pid}), do: assert(Process.whereis(scope) == pid)

  defp sorted(terms), do: Enum.sort(terms)
end
