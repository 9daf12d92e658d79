defmodule TenonHarness.LimitedMembersTest do
  use TenonHarness.NodeCase, async: true

  @moduletag :tenon_only

  # A C node that limits the guest and not the friend; all three are one mesh and one pg scope.
  setup do
    scope = String.to_atom(Cluster.unique("scope"))
    [friend, guest] = for _ <- 1..2, do: start_beam()
    file = Path.join(System.tmp_dir!(), Cluster.unique("tenon-members") <> "-#{System.pid()}")
    on_exit(fn -> File.rm(file) end)
    File.write!(file, "{peer, '#{friend.name}', all}.\n{peer, '#{guest.name}', []}.\n")
    tenon = start_tenon(mesh: true, pg_scope: scope, args: ["--rules", file])

    for beam <- [friend, guest] do
      on(beam, scope: scope, do: :pg.start(scope))
      assert on(beam, name: tenon.name, do: Node.ping(name)) == :pong
    end

    context = %{friend: friend, guest: guest, tenon: tenon, c: tenon.name, scope: scope}

    for beam <- [friend, guest] do
      Wait.until("known", fn -> beam.name in known(context) end)
    end

    {:ok, context}
  end

  defp asked(context, m, f, a),
    do: on(context.friend, call: [context.c, m, f, a], do: apply(:rpc, :call, call))

  # The members of the mesh, as the C node tells the guest.
  defp known(context) do
    on(context.guest, c: context.c, do: GenServer.call({:global_name_server, c}, :get_known))
  end

  defp process_of(beam), do: on(beam, do: spawn(fn -> Process.sleep(:infinity) end))

  defp counted(context), do: asked(context, :tenon, :metrics, []).node.claims_refused

  test "a limited member names its own processes in :global, and takes no name of others",
       context do
    %{friend: friend, guest: guest} = context
    [mine, theirs] = [process_of(guest), process_of(friend)]
    assert on(guest, pid: mine, do: :global.register_name(:mine, pid)) == :yes
    assert asked(context, :global, :whereis_name, [:mine]) == mine
    assert on(friend, pid: theirs, do: :global.register_name(:theirs, pid)) == :yes
    assert asked(context, :global, :whereis_name, [:theirs]) == theirs
    before = counted(context)
    assert on(guest, pid: mine, do: :global.re_register_name(:theirs, pid)) == :yes
    assert asked(context, :global, :whereis_name, [:theirs]) == theirs
    assert counted(context) > before
    on(guest, do: :global.unregister_name(:mine))
    assert asked(context, :global, :whereis_name, [:mine]) == :undefined
    # What serves :global goes on.
    assert on(friend, pid: theirs, do: :global.register_name(:later, pid)) == :yes
    assert asked(context, :global, :whereis_name, [:later]) == theirs
  end

  test "a limited member has no other given up", context do
    %{friend: friend, guest: guest, c: c} = context
    before = counted(context)

    for message <- [
          {:remove_connection, friend.name},
          {:lost_connection, guest.name, 1, 1, friend.name},
          {:"$gen_cast", {:new_nodes, guest.name, [], [], [:nobody@nowhere], []}}
        ] do
      on(guest, c: c, message: message, do: send({:global_name_server, c}, message))
    end

    assert friend.name in known(context)
    refute :nobody@nowhere in known(context)
    assert c in on(friend, do: Node.list())
    assert counted(context) == before + 3
  end

  test "a limited member joins groups for its own processes", context do
    %{friend: friend, guest: guest, c: c, scope: scope} = context
    [mine, theirs] = [process_of(guest), process_of(friend)]

    for {beam, pid} <- [{guest, mine}, {friend, theirs}] do
      assert on(beam, join: [scope, :group, pid], do: apply(:pg, :join, join)) == :ok
    end

    members = fn group -> Enum.sort(asked(context, :pg, :get_members, [scope, group])) end
    Wait.until("both are members", fn -> members.(:group) == Enum.sort([mine, theirs]) end)
    their_scope = on(friend, scope: scope, do: Process.whereis(scope))

    on guest, c: c, scope: scope, mine: mine, theirs: theirs, other: their_scope do
      send({scope, c}, {:join, Process.whereis(scope), :more, [theirs, mine]})
      send({scope, c}, {:leave, other, theirs, [:group]})
      :ok = :pg.join(scope, :last, mine)
    end

    Wait.until("the last is there", fn -> members.(:last) == [mine] end)
    assert members.(:more) == [mine]
    assert members.(:group) == Enum.sort([mine, theirs])
  end
end
