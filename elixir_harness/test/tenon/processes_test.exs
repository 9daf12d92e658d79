defmodule TenonHarness.ProcessesTest do
  use TenonHarness.NodeCase, async: true

  setup_all do
    tenon = start_connected_tenon()
    {:ok, tenon: tenon, name: tenon.name, echo: {:echo, tenon.name}}
  end

  describe "messages" do
    test "sent to a registered name arrive", %{echo: echo} do
      send(echo, {:"$gen_cast", {self(), :by_name}})
      assert_receive :by_name
    end

    test "sent to a pid arrive, and to one that is gone are dropped", %{name: name} do
      pid = Node.spawn(name, :demo, :sleep, [10 * @timeout])
      send(pid, :nobody_reads_this)
      Process.exit(pid, :kill)
      send(pid, :nobody_is_there)
      assert Wait.call({:echo, name}, :fine) == :fine
    end

    test "to a name that nobody has are dropped", %{name: name} do
      send({:nobody_has_this_name, name}, :hello)
      assert Wait.call({:echo, name}, :fine) == :fine
    end
  end

  describe "a server" do
    test "answers GenServer.call", %{echo: echo} do
      assert Wait.call(echo, {:some, "request", [1, 2.5]}) == {:some, "request", [1, 2.5]}
      assert GenServer.call(echo, :patient, :infinity) == :patient
      assert Wait.call(echo, :in_time) == :in_time
    end

    test "answers GenServer.call by pid, too", %{name: name, echo: echo} do
      pid = pid_of_echo(name)
      assert Wait.call(pid, :by_pid) == :by_pid
      assert Wait.call(echo, :by_name) == :by_name
    end

    test "takes GenServer.cast", %{echo: echo} do
      assert GenServer.cast(echo, {self(), {:cast, 1}}) == :ok
      assert_receive {:cast, 1}
    end

    test "survives calls, casts and messages it does not expect", %{echo: echo} do
      for junk <- [:junk, {:a}, [], "text", {:not, :a_pid}, {:"$gen_cast", :what}] do
        send(echo, junk)
        GenServer.cast(echo, junk)
      end

      send(echo, {:"$gen_call", {self(), :plain_tag}, :still_here})
      assert_receive {:plain_tag, :still_here}
    end

    @tag :tenon_only
    test "survives a call that names nobody to answer to", %{echo: echo} do
      for from <- [:not_from, {:not_a_pid, 1}, {}, {self()}, {self(), 1, 2}] do
        send(echo, {:"$gen_call", from, :hello})
      end

      send(echo, {:"$gen_call", :no_request})
      assert Wait.call(echo, :still_here) == :still_here
    end

    test "answers every form of tag", %{echo: echo} do
      ref = make_ref()
      send(echo, {:"$gen_call", {self(), ref}, :ref_tag})
      assert_receive {^ref, :ref_tag}
      send(echo, {:"$gen_call", {self(), {:a, "tuple"}}, :tuple_tag})
      assert_receive {{:a, "tuple"}, :tuple_tag}
    end

    @tag :ref_alias
    test "answers to an alias", %{echo: echo} do
      ref = apply(:erlang, :alias, [])
      send(echo, {:"$gen_call", {self(), [:alias | ref]}, :to_alias})
      assert_receive {[:alias | ^ref], :to_alias}
    end

    test "answers multi_call and abcast", %{name: name} do
      assert {[{^name, :all}], []} = GenServer.multi_call([name], :echo, :all, @timeout)
      assert {[], [^name]} = GenServer.multi_call([name], :no_such_server, :all, @timeout)
      assert GenServer.abcast([name], :echo, {self(), :abcast}) == :abcast
      assert_receive :abcast
    end

    test "answers send_request", %{echo: echo} do
      request = :gen_server.send_request(echo, :requested)
      assert :gen_server.wait_response(request, @timeout) == {:reply, :requested}
    end

    test "answers many callers at once", %{echo: echo} do
      1..64
      |> Enum.map(fn n ->
        Task.async(fn -> for i <- 1..50, do: {^n, ^i} = Wait.call(echo, {n, i}) end)
      end)
      |> Enum.each(&Wait.await/1)
    end

    test "that does not exist fails a call at once with noproc", %{name: name} do
      missing = {:no_such_server, name}

      assert {:noproc, {GenServer, :call, [^missing, :hello, @timeout]}} =
               catch_call(missing, :hello)
    end

    test "that is killed fails the waiting call", %{name: name} do
      pid = Node.spawn(name, :demo, :sleep, [10 * @timeout])
      caller = Task.async(fn -> catch_call(pid, :hello) end)
      ref = Process.monitor(pid)
      Process.exit(pid, :kill)
      assert_receive {:DOWN, ^ref, :process, ^pid, reason} when reason in [:killed, :noproc]
      assert {reason, {GenServer, :call, _}} = Wait.await(caller)
      assert reason in [:killed, :noproc]
    end

    test "is stopped by GenServer.stop" do
      tenon = start_connected_tenon()
      echo = {:echo, tenon.name}
      ref = Process.monitor(echo)
      assert GenServer.stop(echo, :shutdown, @timeout) == :ok
      name = tenon.name
      assert_receive {:DOWN, ^ref, :process, {:echo, ^name}, :shutdown}
      assert {:noproc, {GenServer, :call, _}} = catch_call(echo, :hello)
      assert :rpc.call(name, :demo, :echo, [:node_is_up]) == :node_is_up
    end

    test "that does not answer in time lets the call time out", %{name: name} do
      pid = Node.spawn(name, :demo, :sleep, [10 * @timeout])
      assert {:timeout, {GenServer, :call, _}} = catch_exit(GenServer.call(pid, :hello, 100))
      Process.exit(pid, :kill)
    end
  end

  describe "a monitor of a C process" do
    test "fires with the reason it ends with", %{name: name} do
      assert down_of(name, :exit, [:normal]) == :normal
      assert down_of(name, :exit, [{:some, "reason", 1}]) == {:some, "reason", 1}
      assert down_of(name, :sleep, [1]) == :normal
      assert {:boom, stack} = down_of(name, :raise, [:boom])
      assert is_list(stack)
      assert {{:nocatch, :ball}, stack} = down_of(name, :throw, [:ball])
      assert is_list(stack)
    end

    test "fires with killed and with the reason of an exit signal", %{name: name} do
      assert reason_after(name, &Process.exit(&1, :kill)) == :killed
      assert reason_after(name, &Process.exit(&1, :shutdown)) == :shutdown
      assert reason_after(name, &Process.exit(&1, {:a, "reason"})) == {:a, "reason"}
    end

    test "fires with noproc for a pid that is gone", %{name: name} do
      {pid, ref} = :erlang.spawn_monitor(name, :demo, :echo, [1])
      assert_receive {:DOWN, ^ref, :process, ^pid, :normal}
      again = Process.monitor(pid)
      assert_receive {:DOWN, ^again, :process, ^pid, :noproc}
    end

    test "by a name that nobody has fires with noproc", %{name: name} do
      ref = Process.monitor({:nobody_has_this_name, name})
      assert_receive {:DOWN, ^ref, :process, {:nobody_has_this_name, ^name}, :noproc}
    end

    test "by name stays silent while the server lives", %{echo: echo} do
      ref = Process.monitor(echo)
      assert Wait.call(echo, :alive) == :alive
      refute_received {:DOWN, ^ref, :process, _, _}
      assert Process.demonitor(ref, [:flush, :info])
    end

    test "does not fire after demonitor", %{name: name} do
      pid = Node.spawn(name, :demo, :sleep, [10 * @timeout])
      dropped = Process.monitor(pid)
      kept = Process.monitor(pid)
      true = Process.demonitor(dropped)
      Process.exit(pid, :kill)
      assert_receive {:DOWN, ^kept, :process, ^pid, :killed}
      refute_received {:DOWN, ^dropped, :process, ^pid, _}
    end

    test "fires with noconnection when the node is killed" do
      tenon = start_connected_tenon()
      name = tenon.name
      by_name = Process.monitor({:echo, name})
      pid = Node.spawn(name, :demo, :sleep, [10 * @timeout])
      by_pid = Process.monitor(pid)
      assert Wait.call({:echo, name}, :up) == :up
      TenonNode.kill(tenon)
      assert_receive {:DOWN, ^by_name, :process, {:echo, ^name}, :noconnection}
      assert_receive {:DOWN, ^by_pid, :process, ^pid, :noconnection}
    end

    test "of a node that does not exist fires with noconnection" do
      nowhere = Cluster.unique_node("nowhere")
      ref = Process.monitor({:echo, nowhere})
      assert_receive {:DOWN, ^ref, :process, {:echo, ^nowhere}, :noconnection}
    end
  end

  describe "a link with a C process" do
    setup do
      Process.flag(:trap_exit, true)
      :ok
    end

    test "ends with the reason of the C process", %{name: name} do
      assert exit_of_linked(name, :exit, [{:linked, 1}]) == {:linked, 1}
      assert exit_of_linked(name, :exit, [:normal]) == :normal
      assert exit_of_linked(name, :sleep, [1]) == :normal
      assert {:boom, stack} = exit_of_linked(name, :raise, [:boom])
      assert is_list(stack)
    end

    test "to a pid that is gone ends with noproc", %{name: name} do
      {pid, ref} = :erlang.spawn_monitor(name, :demo, :echo, [1])
      assert_receive {:DOWN, ^ref, :process, ^pid, :normal}
      Process.link(pid)
      assert_receive {:EXIT, ^pid, :noproc}
    end

    test "ends the C process when the BEAM process ends", %{name: name} do
      driver = self()

      {owner, owner_ref} =
        spawn_monitor(fn ->
          pid = Node.spawn_link(name, :demo, :sleep, [10 * @timeout])
          send(driver, {:linked, pid})

          receive do
            :end_now -> exit(:ended)
          end
        end)

      assert_receive {:linked, pid}
      ref = Process.monitor(pid)
      send(owner, :end_now)
      assert_receive {:DOWN, ^owner_ref, :process, ^owner, :ended}
      assert_receive {:DOWN, ^ref, :process, ^pid, :ended}
    end

    test "is without effect once it is unlinked", %{name: name} do
      pid = Node.spawn_link(name, :demo, :sleep, [10 * @timeout])
      ref = Process.monitor(pid)
      true = Process.unlink(pid)
      Process.exit(pid, :unlinked)
      assert_receive {:DOWN, ^ref, :process, ^pid, :unlinked}
      refute_received {:EXIT, ^pid, _}
    end

    test "can be made again after unlink", %{name: name} do
      pid = Node.spawn(name, :demo, :sleep, [10 * @timeout])
      for _ <- 1..10, do: Process.link(pid) && Process.unlink(pid)
      Process.link(pid)
      Process.exit(pid, :after_all)
      assert_receive {:EXIT, ^pid, :after_all}
    end

    test "ends with noconnection when the node is killed" do
      tenon = start_connected_tenon()
      pid = Node.spawn_link(tenon.name, :demo, :sleep, [10 * @timeout])
      assert Wait.call({:echo, tenon.name}, :up) == :up
      TenonNode.kill(tenon)
      assert_receive {:EXIT, ^pid, :noconnection}
    end

    test "to the echo server by its pid can be taken back", %{name: name} do
      pid = pid_of_echo(name)
      Process.link(pid)
      Process.unlink(pid)
      assert Wait.call(pid, :alive) == :alive
    end
  end

  describe "the calls that wait on a node" do
    test "fail at once with nodedown when it is lost" do
      tenon = start_connected_tenon()
      name = tenon.name
      pid = Node.spawn(name, :demo, :sleep, [10 * @timeout])
      waiting = Task.async(fn -> catch_exit(Wait.call(pid, :never)) end)

      Wait.until("the call to be sent", fn ->
        Process.info(waiting.pid, :monitors) != {:monitors, []}
      end)

      assert Wait.call({:echo, name}, :up) == :up
      TenonNode.kill(tenon)
      assert {{:nodedown, ^name}, {GenServer, :call, _}} = Wait.await(waiting)
    end
  end

  describe "group leaders and odd signals" do
    test "are taken without harm", %{name: name} do
      pid = Node.spawn(name, :demo, :sleep, [10 * @timeout])
      assert Process.group_leader(pid, Process.group_leader())
      Process.exit(pid, :normal)
      assert Wait.call({:echo, name}, :fine) == :fine
      assert reason_after_of(pid, &Process.exit(&1, :kill)) == :killed
    end
  end

  # The pid with which the server sends: it comes with the DOWN of nothing else, so it is asked for.
  defp pid_of_echo(name) do
    if TenonNode.beam?() do
      :rpc.call(name, Process, :whereis, [:echo])
    else
      sender_of(name)
    end
  end

  # A raw peer sees the sender of a message in the control message.
  defp sender_of(name) do
    {:ok, raw} = RawPeer.connect(name)
    RawPeer.send_to(raw, :echo, {:"$gen_call", {RawPeer.pid(raw, 1), :tag}, :who})

    pid =
      RawPeer.receive_control(raw, fn
        {{22, from, _to}, {:tag, :who}} -> from
        _other -> nil
      end)

    RawPeer.close(raw)
    pid
  end

  defp catch_call(server, request) do
    catch_exit(Wait.call(server, request))
  end

  defp down_of(name, function, args) do
    {pid, ref} = :erlang.spawn_monitor(name, :demo, function, args)
    assert_receive {:DOWN, ^ref, :process, ^pid, reason}
    reason
  end

  defp reason_after(name, fun) do
    reason_after_of(Node.spawn(name, :demo, :sleep, [10 * @timeout]), fun)
  end

  defp reason_after_of(pid, fun) do
    ref = Process.monitor(pid)
    fun.(pid)
    assert_receive {:DOWN, ^ref, :process, ^pid, reason}
    reason
  end

  defp exit_of_linked(name, function, args) do
    pid = Node.spawn_link(name, :demo, function, args)
    assert_receive {:EXIT, ^pid, reason}
    reason
  end
end
