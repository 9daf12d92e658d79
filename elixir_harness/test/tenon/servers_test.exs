defmodule TenonHarness.ServersTest do
  @moduledoc false
  # Servers of servers.so: what sys, GenServer and other processes can do to them.
  use TenonHarness.NodeCase, async: true

  setup_all do
    tenon = start_connected_tenon(servers: true)
    {:ok, name: tenon.name}
  end

  setup %{name: name} do
    {:ok, server} = :rpc.call(name, :servers, :start, [nil, 3])
    {:ok, server: server}
  end

  describe "sys" do
    test "shows and replaces the state", %{server: server} do
      assert :sys.get_state(server, @timeout) == 3
      assert :sys.replace_state(server, &:servers.double/1, @timeout) == 6
      assert Wait.call(server, :get) == 6
    end

    test "leaves a state that cannot be replaced", %{server: server} do
      reason =
        catch_error(:sys.replace_state(server, Function.capture(:servers, :no_such, 1), @timeout))

      assert reason ==
               {:callback_failed, {:gen_server, :system_replace_state}, {:error, :undef}}

      assert :sys.get_state(server, @timeout) == 3
    end

    @tag :tenon_only
    test "cannot run a fun in C", %{server: server} do
      fun = fn n -> n + 1 end

      assert {:callback_failed, {:gen_server, :system_replace_state}, {:error, {:badfun, _}}} =
               catch_error(:sys.replace_state(server, fun, @timeout))

      assert :sys.get_state(server, @timeout) == 3
    end

    test "shows the status", %{server: server} do
      assert {:status, ^server, {:module, :gen_server}, [dict, :running, parent, [], misc]} =
               :sys.get_status(server, @timeout)

      assert is_list(dict)
      assert is_pid(parent)
      assert {:data, status} = List.keyfind(misc, :data, 0)
      assert List.keyfind(status, ~c"Status", 0) == {~c"Status", :running}
      assert {:data, [{~c"State", 3}]} in misc
      assert [{:header, header} | _] = misc
      assert List.starts_with?(header, ~c"Status for generic server ")
    end

    test "suspends a server, whose messages wait in order", %{server: server} do
      assert :sys.suspend(server, @timeout) == :ok
      for by <- [1, 10], do: GenServer.cast(server, {:add, by})
      me = self()
      caller = spawn_link(fn -> send(me, {:got, Wait.call(server, {:add, 100})}) end)

      Wait.until("the call to be sent", fn ->
        Process.info(caller, :monitors) != {:monitors, []}
      end)

      assert :sys.get_state(server, @timeout) == 3
      assert {:status, _, _, [_, :suspended | _]} = :sys.get_status(server, @timeout)
      refute_received {:got, _}
      assert :sys.resume(server, @timeout) == :ok
      assert_receive {:got, 114}
    end

    test "counts messages", %{server: server} do
      assert :sys.statistics(server, :get, @timeout) == {:ok, :no_statistics}
      assert :sys.statistics(server, true, @timeout) == :ok
      assert Wait.call(server, :get) == 3
      GenServer.cast(server, {:add, 1})
      assert {:ok, counts} = :sys.statistics(server, :get, @timeout)

      assert [:start_time, :current_time, :reductions, :messages_in, :messages_out] ==
               Keyword.keys(counts)

      assert {{_, _, _}, {_, _, _}} = counts[:start_time]
      assert {counts[:messages_in], counts[:messages_out]} == {2, 1}
      assert :sys.no_debug(server, @timeout) == :ok
      assert :sys.statistics(server, :get, @timeout) == {:ok, :no_statistics}
    end

    test "logs what comes in", %{server: server} do
      assert :sys.log(server, true, @timeout) == :ok
      GenServer.cast(server, {:add, 1})
      assert {:ok, events} = :sys.log(server, :get, @timeout)
      assert {:in, {:"$gen_cast", {:add, 1}}} in events
      assert :sys.log(server, false, @timeout) == :ok
      assert :sys.log(server, :get, @timeout) == {:ok, []}
    end

    test "is answered whatever it asks", %{server: server} do
      assert :sys.remove(server, :not_there, @timeout) == :ok
      assert :sys.log_to_file(server, false, @timeout) == :ok
      assert :sys.log_to_file(server, ~c"/no/such/folder/file", @timeout) == {:error, :open_file}

      assert :sys.change_code(server, :servers, :undefined, [], @timeout) ==
               {:error, {:unknown_system_msg, {:change_code, :servers, :undefined, []}}}

      assert Wait.call(server, :get) == 3
    end

    test "terminates a server, also a suspended one", %{name: name, server: server} do
      ref = Process.monitor(server)
      assert :sys.terminate(server, {:shutdown, :sys}, @timeout) == :ok
      assert_receive {:DOWN, ^ref, :process, ^server, {:shutdown, :sys}}
      {:ok, other} = :rpc.call(name, :servers, :start, [nil, 0])
      ref = Process.monitor(other)
      assert :sys.suspend(other, @timeout) == :ok
      assert :sys.terminate(other, :normal, @timeout) == :ok
      assert_receive {:DOWN, ^ref, :process, ^other, :normal}
    end

    test "finds no server where none is", %{name: name} do
      assert {:noproc, {:sys, :get_state, _}} =
               catch_exit(:sys.get_state({:no_such_server, name}, @timeout))
    end
  end

  describe "GenServer" do
    test "stops a server with any reason", %{name: name} do
      for reason <- [:normal, :shutdown, {:shutdown, 1}, {:bad, "end"}] do
        {:ok, server} = :rpc.call(name, :servers, :start, [nil, 0])
        ref = Process.monitor(server)
        assert GenServer.stop(server, reason, @timeout) == :ok
        assert_receive {:DOWN, ^ref, :process, ^server, ^reason}
      end
    end

    test "cannot stop a server that is gone", %{server: server} do
      assert GenServer.stop(server) == :ok

      assert {:noproc, {GenServer, :stop, _}} =
               catch_exit(GenServer.stop(server, :normal, @timeout))
    end

    test "is stopped here from there", %{name: name} do
      for reason <- [:normal, {:shutdown, 1}] do
        {:ok, here} = GenServer.start(TenonHarness.Counter, {nil, 0})
        ref = Wait.monitor(here)
        assert :rpc.call(name, :servers, :stop, [here, reason]) == :ok
        assert_receive {:DOWN, ^ref, :process, ^here, ^reason}

        assert {:badrpc, {:EXIT, {:noproc, _}}} = :rpc.call(name, :servers, :stop, [here, reason])
      end
    end

    test "calls and casts to servers of many nodes at once", %{name: name} do
      {:ok, _} = :rpc.call(name, :servers, :start, [:many, 1])
      {:ok, here} = GenServer.start(TenonHarness.Counter, {nil, 2}, name: :many)
      nowhere = Cluster.unique_node("nowhere")

      assert {replies, [^nowhere]} =
               GenServer.multi_call([name, node(), nowhere], :many, {:add, 10}, @timeout)

      assert Enum.sort(replies) == Enum.sort([{name, 11}, {node(), 12}])
      assert GenServer.abcast([name, node()], :many, {:add, 100}) == :abcast
      assert Wait.call({:many, name}, :get) == 111
      assert Wait.call(here, :get) == 112
      GenServer.stop(here)
    end

    test "replies from another process, of either kind", %{server: server} do
      me = self()
      asked = Task.async(fn -> Wait.call(server, {:hand_on, me}) end)
      assert_receive {:from, from}
      GenServer.reply(from, :from_elixir)
      assert Wait.await(asked) == :from_elixir

      {:ok, here} = GenServer.start(TenonHarness.Counter, {nil, 0})
      asked = Task.async(fn -> Wait.call(here, {:hand_on, me}) end)
      assert_receive {:from, from}
      GenServer.cast(server, {:reply, from, {:from, "the server"}})
      assert Wait.await(asked) == {:from, "the server"}
      GenServer.stop(here)
    end

    test "continues before the next message", %{server: server} do
      :ok = Wait.call(server, {:watch, self()})
      :ok = :sys.suspend(server, @timeout)
      ref = make_ref()
      send(server, {:"$gen_call", {self(), ref}, {:continue, {:with, 1}}})
      send(server, :next_message)
      :ok = :sys.resume(server, @timeout)
      assert_receive {^ref, :first}
      assert_receive {:continued, {:with, 1}}
      assert_receive :next_message
      refute_received {:continued, _}
    end

    test "tells a server of silence, once", %{server: server} do
      :ok = Wait.call(server, {:watch, self()})
      GenServer.cast(server, {:timeout, 0})
      assert_receive :timeout
      GenServer.cast(server, {:timeout, 10 * @timeout})
      assert Wait.call(server, :get) == 3
      refute_received :timeout
    end
  end

  describe "Process.exit" do
    test "with normal passes one that does not trap exits", %{server: server} do
      Process.exit(server, :normal)
      assert Wait.call(server, :get) == 3
    end

    test "with anything else ends it with that reason", %{name: name} do
      for {reason, seen} <- [{:kill, :killed}, {:shutdown, :shutdown}, {{:a, 1}, {:a, 1}}] do
        {:ok, server} = :rpc.call(name, :servers, :start, [nil, 0])
        ref = Process.monitor(server)
        Process.exit(server, reason)
        assert_receive {:DOWN, ^ref, :process, ^server, ^seen}
      end
    end

    test "is a message to one that traps exits, but for kill", %{server: server} do
      me = self()
      :ok = Wait.call(server, {:watch, me})
      :ok = Wait.call(server, {:trap_exit, true})

      for reason <- [:normal, :shutdown, {:any, "term"}, :killed] do
        Process.exit(server, reason)
        assert_receive {:EXIT, ^me, ^reason}
      end

      ref = Process.monitor(server)
      Process.exit(server, :kill)
      assert_receive {:DOWN, ^ref, :process, ^server, :killed}
    end

    test "of a linked process is a message to one that traps exits", %{server: server} do
      me = self()
      :ok = Wait.call(server, {:watch, me})
      :ok = Wait.call(server, {:trap_exit, true})

      for reason <- [:normal, :kill, {:any, "term"}] do
        pid = spawn(fn -> :ok = Wait.call(server, {:link, self()}) && exit(reason) end)
        assert_receive {:EXIT, ^pid, ^reason}
      end

      gone = spawn(fn -> :ok end)
      ref = Process.monitor(gone)
      assert_receive {:DOWN, ^ref, :process, ^gone, _}
      :ok = Wait.call(server, {:link, gone})
      assert_receive {:EXIT, ^gone, :noproc}
    end

    test "reaches processes here from there", %{server: server} do
      Process.flag(:trap_exit, true)
      GenServer.cast(server, {:exit, self(), :normal})
      assert_receive {:EXIT, ^server, :normal}
      GenServer.cast(server, {:exit, self(), {:any, "term"}})
      assert_receive {:EXIT, ^server, {:any, "term"}}
      {pid, ref} = spawn_monitor(fn -> :demo.sleep(:infinity) end)
      GenServer.cast(server, {:exit, pid, :normal})
      GenServer.cast(server, {:exit, pid, :kill})
      assert_receive {:DOWN, ^ref, :process, ^pid, :killed}
    end

    test "is a message to a mailbox that traps exits, but for kill", %{name: name} do
      me = self()

      for reason <- [:normal, :shutdown, {:any, "term"}] do
        {task, box} = start_mailbox(name)
        Process.exit(box, reason)
        assert Wait.await(task) == {:EXIT, me, reason}
      end

      {task, box} = start_mailbox(name)
      pid = spawn(fn -> Process.link(box) && exit(:linked) end)
      assert Wait.await(task) == {:EXIT, pid, :linked}
      {task, box} = start_mailbox(name)
      Process.exit(box, :kill)
      assert Wait.await(task) == :ended
    end

    test "ends one that sends normal to itself", %{server: server} do
      ref = Process.monitor(server)
      GenServer.cast(server, {:exit, server, :normal})
      assert_receive {:DOWN, ^ref, :process, ^server, :normal}
    end
  end

  describe "an alias of a server" do
    @describetag :ref_alias

    setup %{server: server} do
      :ok = Wait.call(server, {:watch, self()})
    end

    test "is sent to until it is taken back", %{server: server} do
      ref = Wait.call(server, {:alias, :explicit})
      assert is_reference(ref)
      send(ref, :one)
      send(ref, :two)
      assert_receive :one
      assert_receive :two
      assert Wait.call(server, {:unalias, ref}) == true
      assert Wait.call(server, {:unalias, ref}) == false
      send(ref, :three)
      assert Wait.call(server, :get) == 3
      refute_received :three
    end

    test "for a reply takes one message", %{server: server} do
      ref = Wait.call(server, {:alias, :reply})
      send(ref, :one)
      send(ref, :two)
      assert_receive :one
      assert Wait.call(server, :get) == 3
      refute_received :two
      assert Wait.call(server, {:unalias, ref}) == false
    end

    test "is where its calls are answered, and that ends its monitor", %{server: server} do
      {:ok, here} = GenServer.start(TenonHarness.Counter, {nil, 7})
      GenServer.cast(server, {:call, here, :get})
      assert_receive {[:alias | ref], 7}
      assert is_reference(ref)
      assert_monitors(here, [])
      GenServer.stop(here)
      assert Wait.call(server, :get) == 3
      refute_received {:DOWN, _, _, _, _}
      GenServer.cast(server, {:call, here, :get})
      assert_receive {:DOWN, _ref, :process, ^here, :noproc}
    end

    test "can be one of a process here", %{server: server} do
      ref = apply(:erlang, :alias, [])
      GenServer.cast(server, {:send, ref, {:to, "an alias"}})
      assert_receive {:to, "an alias"}
    end
  end

  describe "a parent" do
    test "takes its server along", %{name: name} do
      {parent, parent_ref} = spawn_monitor(fn -> :demo.sleep(:infinity) end)
      {:ok, server} = :rpc.call(name, :servers, :start_link, [parent, nil, 0])
      ref = Process.monitor(server)
      Process.exit(parent, {:shutdown, :parent})
      assert_receive {:DOWN, ^parent_ref, :process, ^parent, {:shutdown, :parent}}
      assert_receive {:DOWN, ^ref, :process, ^server, {:shutdown, :parent}}
    end
  end

  defp start_mailbox(name) do
    me = self()
    task = Task.async(fn -> :rpc.call(name, :servers, :mailbox, [me]) end)
    assert_receive {:mailbox, box}
    {task, box}
  end

  defp assert_monitors(pid, expected) do
    Wait.until("the monitors of #{inspect(pid)}", fn ->
      Process.info(pid, :monitored_by) == {:monitored_by, expected}
    end)
  end
end
