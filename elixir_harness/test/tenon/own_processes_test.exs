defmodule TenonHarness.OwnProcessesTest do
  @moduledoc false
  # What sys sees of the processes that serve a node itself.
  use TenonHarness.NodeCase, async: true

  @own [:rex, :net_kernel, :global_name_server, :pg]

  # Asked by a peer, because a member of the mesh looks for all whom its peers know: the nodes of all tests.
  setup_all do
    {tenon, peer} = {start_tenon(mesh: true), start_beam()}
    assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong

    Wait.until("the mesh", fn ->
      on(peer, name: tenon.name, do: Wait.call({:global_name_server, name}, :get_known)) ==
        [peer.name]
    end)

    {:ok, name: tenon.name, peer: peer}
  end

  for own <- @own do
    test "#{own} tells its status and its state by name", %{name: name, peer: peer} do
      server = {unquote(own), name}
      pid = whereis(peer, name, unquote(own))

      assert {:status, ^pid, {:module, :gen_server}, [_dict, :running, _parent, [], misc]} =
               sys(peer, :get_status, [server])

      assert Keyword.get(misc, :header) == ~c"Status for generic server #{unquote(own)}"
      state = sys(peer, :get_state, [server])
      assert state == sys(peer, :get_state, [pid])
      refute state == :opaque
    end

    test "#{own} counts and keeps what it is sent, when asked", %{name: name, peer: peer} do
      server = {unquote(own), name}
      assert sys(peer, :statistics, [server, :get]) == {:ok, :no_statistics}
      assert sys(peer, :statistics, [server, true]) == :ok
      assert sys(peer, :log, [server, true]) == :ok
      # What a scope of a BEAM node passes over; it dies of what it does not know.
      said = {:nodedown, :nobody@nowhere}
      on peer, server: server, said: said, do: send(server, said)
      # Others may write to it too.
      assert {:ok, counts} = sys(peer, :statistics, [server, :get])
      assert counts[:messages_in] >= 1
      assert {:ok, events} = sys(peer, :log, [server, :get])
      assert {:in, said} in events
      assert sys(peer, :statistics, [server, false]) == :ok
      assert sys(peer, :no_debug, [server]) == :ok
      assert sys(peer, :log, [server, :get]) == {:ok, []}
    end
  end

  test "rex has a map as its state", %{name: name, peer: peer} do
    assert is_map(sys(peer, :get_state, [{:rex, name}]))
  end

  describe "the state, as a map," do
    @describetag :tenon_only

    test "of net_kernel names the connected nodes", %{name: name, peer: peer} do
      assert %{node: ^name, net_ticktime: 60, connected: nodes} =
               sys(peer, :get_state, [{:net_kernel, name}])

      assert nodes == [peer.name]
    end

    test "of global_name_server has the mesh and the names", %{name: name, peer: peer} do
      assert %{known: known, names: names} = sys(peer, :get_state, [{:global_name_server, name}])

      assert known == [peer.name]
      assert :tenon_echo in names
    end

    test "of a scope has its groups", %{name: name, peer: peer} do
      assert %{scope: :pg, groups: %{tenon_demo: [echo]}} = sys(peer, :get_state, [{:pg, name}])
      assert echo == whereis(peer, name, :echo)
    end
  end

  # They hold the node together: sys looks at them only.
  for own <- @own do
    @tag :tenon_only
    test "#{own} is neither suspended, nor changed, nor ended by sys", context do
      %{name: name, peer: peer} = context
      server = {unquote(own), name}
      pid = whereis(peer, name, unquote(own))
      state = sys(peer, :get_state, [server])
      assert sys(peer, :suspend, [server]) == {:error, :notsup}
      assert sys(peer, :terminate, [server, :normal]) == {:error, :notsup}

      replaced =
        on peer, server: server do
          try do
            :sys.replace_state(server, &:demo.echo/1)
          catch
            :error, reason -> {:failed, reason}
          end
        end

      assert {:failed, {:callback_failed, _, _}} = replaced
      assert {:status, ^pid, _, [_, :running | _]} = sys(peer, :get_status, [server])
      assert sys(peer, :get_state, [server]) == state
      assert whereis(peer, name, unquote(own)) == pid
    end
  end

  defp sys(peer, function, args), do: BeamNode.call(peer, :sys, function, args ++ [@timeout])

  defp whereis(peer, name, process),
    do: BeamNode.call(peer, :rpc, :call, [name, :erlang, :whereis, [process]])
end
