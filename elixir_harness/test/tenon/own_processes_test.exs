defmodule TenonHarness.OwnProcessesTest do
  @moduledoc false
  # What sys sees of the processes that serve a node itself.
  use TenonHarness.NodeCase, async: true

  @own [:rex, :net_kernel, :global_name_server, :pg]

  setup_all do
    tenon = start_connected_tenon(mesh: true)
    {:ok, name: tenon.name}
  end

  for own <- @own do
    test "#{own} tells its status and its state by name", %{name: name} do
      server = {unquote(own), name}
      pid = :rpc.call(name, :erlang, :whereis, [unquote(own)])

      assert {:status, ^pid, {:module, :gen_server}, [_dict, :running, _parent, [], misc]} =
               :sys.get_status(server)

      assert Keyword.get(misc, :header) == ~c"Status for generic server #{unquote(own)}"
      state = :sys.get_state(server)
      assert state == :sys.get_state(pid)
      refute state == :opaque
    end

    test "#{own} counts and keeps what it is sent, when asked", %{name: name} do
      server = {unquote(own), name}
      assert :sys.statistics(server, :get) == {:ok, :no_statistics}
      assert :sys.statistics(server, true) == :ok
      assert :sys.log(server, true) == :ok
      # What a scope of a BEAM node passes over; it dies of what it does not know.
      said = {:nodedown, :nobody@nowhere}
      send(server, said)
      # Others may write to it too.
      assert {:ok, counts} = :sys.statistics(server, :get)
      assert counts[:messages_in] >= 1
      assert {:ok, events} = :sys.log(server, :get)
      assert {:in, said} in events
      assert :sys.statistics(server, false) == :ok
      assert :sys.no_debug(server) == :ok
      assert :sys.log(server, :get) == {:ok, []}
    end
  end

  test "rex has a map as its state", %{name: name} do
    assert is_map(:sys.get_state({:rex, name}))
  end

  describe "the state, as a map," do
    @describetag :tenon_only

    test "of net_kernel names the connected nodes", %{name: name} do
      assert %{node: ^name, net_ticktime: 60, connected: nodes} =
               :sys.get_state({:net_kernel, name})

      assert node() in nodes
    end

    test "of global_name_server has the mesh and the names", %{name: name} do
      :ok = :global.sync()

      assert %{known: known, names: names} = :sys.get_state({:global_name_server, name})
      assert node() in known
      assert :tenon_echo in names
    end

    test "of a scope has its groups", %{name: name} do
      assert %{scope: :pg, groups: %{tenon_demo: [echo]}} = :sys.get_state({:pg, name})
      assert echo == :rpc.call(name, :erlang, :whereis, [:echo])
    end
  end

  # They hold the node together: sys looks at them only.
  for own <- @own do
    @tag :tenon_only
    test "#{own} is neither suspended, nor changed, nor ended by sys", %{name: name} do
      server = {unquote(own), name}
      pid = :rpc.call(name, :erlang, :whereis, [unquote(own)])
      state = :sys.get_state(server)
      assert :sys.suspend(server) == {:error, :notsup}
      assert :sys.terminate(server, :normal) == {:error, :notsup}
      assert {:callback_failed, _, _} = catch_error(:sys.replace_state(server, &:demo.echo/1))
      assert {:status, ^pid, _, [_, :running | _]} = :sys.get_status(server)
      assert :sys.get_state(server) == state
      assert :rpc.call(name, :erlang, :whereis, [unquote(own)]) == pid
    end
  end
end
