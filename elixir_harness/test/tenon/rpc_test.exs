defmodule TenonHarness.RpcTest do
  use TenonHarness.NodeCase, async: true

  setup_all do
    tenon = start_connected_tenon()
    {:ok, name: tenon.name}
  end

  describe ":rpc.call" do
    test "gives what the function returns", %{name: name} do
      assert :rpc.call(name, :demo, :echo, [{:a, "term", 1.5}]) == {:a, "term", 1.5}
      assert :rpc.call(name, :demo, :whoami, []) == name
      assert :rpc.call(name, :demo, :sleep, [1], @timeout) == :ok
      assert :rpc.call(name, :demo, :sha256, ["abc"]) == :crypto.hash(:sha256, "abc")
    end

    test "adds integers of any size", %{name: name} do
      big = 123_456_789_012_345_678_901_234_567_890
      assert :rpc.call(name, :demo, :sum, [[1, 2, 3]]) == 6
      assert :rpc.call(name, :demo, :sum, [[]]) == 0
      assert :rpc.call(name, :demo, :sum, [~c"abc"]) == 294
      assert :rpc.call(name, :demo, :sum, [[big, -big, big, 1]]) == big + 1
      huge = List.duplicate(9_223_372_036_854_775_807, 1_000)
      assert :rpc.call(name, :demo, :sum, [huge]) == Enum.sum(huge)
      mixed = for n <- 0..300, do: if(rem(n, 2) == 0, do: pow2(n), else: -pow2(n))
      assert :rpc.call(name, :demo, :sum, [mixed]) == Enum.sum(mixed)
    end

    test "gives an undefined function as a BEAM node does", %{name: name} do
      assert {:badrpc, {:EXIT, {:undef, [{:no_such_module, :f, [1, 2], []} | _]}}} =
               :rpc.call(name, :no_such_module, :f, [1, 2])

      assert {:badrpc, {:EXIT, {:undef, [{:demo, :no_such, [], []} | _]}}} =
               :rpc.call(name, :demo, :no_such, [])

      assert {:badrpc, {:EXIT, {:undef, [{:demo, :echo, [1, 2], []} | _]}}} =
               :rpc.call(name, :demo, :echo, [1, 2])
    end

    @tag :tenon_only
    test "runs nothing that was not registered", %{name: name} do
      for {module, function, args} <- [
            {:erlang, :halt, []},
            {:os, :cmd, [~c"id"]},
            {:code, :load_binary, [:m, ~c"m", ""]},
            {:file, :read_file, ["/etc/passwd"]},
            {:init, :stop, []},
            {Kernel, :node, []}
          ] do
        assert {:badrpc, {:EXIT, {:undef, [{^module, ^function, ^args, []} | _]}}} =
                 :rpc.call(name, module, function, args)
      end
    end

    test "tells error, exit and throw apart", %{name: name} do
      assert {:badrpc, {:EXIT, {{:why, 1}, stack}}} = :rpc.call(name, :demo, :raise, [{:why, 1}])
      assert is_list(stack)
      assert :rpc.call(name, :demo, :exit, [{:out, 1}]) == {:badrpc, {:EXIT, {:out, 1}}}
      assert :rpc.call(name, :demo, :throw, [{:thrown, 1}]) == {:thrown, 1}
    end

    test "reports a bad argument as an error", %{name: name} do
      for {function, args} <- [sum: [:not_a_list], sum: [[1, :x]], sha256: [:x], sleep: [:soon]] do
        assert {:badrpc, {:EXIT, {_reason, stack}}} = :rpc.call(name, :demo, function, args)
        assert is_list(stack)
      end

      assert :rpc.call(name, :demo, :echo, [:fine]) == :fine
    end

    test "times out", %{name: name} do
      assert :rpc.call(name, :demo, :sleep, [10 * @timeout], 50) == {:badrpc, :timeout}
    end

    test "fails at once when the node is lost" do
      tenon = start_connected_tenon()
      waiting = Task.async(fn -> :rpc.call(tenon.name, :demo, :sleep, [10 * @timeout]) end)
      assert :rpc.call(tenon.name, :demo, :echo, [:up]) == :up
      TenonNode.kill(tenon)
      assert Wait.await(waiting) == {:badrpc, :nodedown}
      assert :rpc.call(tenon.name, :demo, :echo, [:down]) == {:badrpc, :nodedown}
    end
  end

  describe ":rpc beyond call" do
    test "cast returns true and runs", %{name: name} do
      assert :rpc.cast(name, :demo, :echo, [:nobody_sees_it])
      assert :rpc.cast(name, :no_such_module, :f, [])
      assert runs_by_cast?(fn pid -> :rpc.cast(name, Demo.Router, :_invoke, invoke_args(pid)) end)
    end

    test "multicall gathers the answers of several nodes", %{name: name} do
      other = start_connected_tenon()
      nowhere = Cluster.unique_node("nowhere")

      assert {answers, [^nowhere]} =
               :rpc.multicall([name, nowhere, other.name], :demo, :whoami, [], @timeout)

      assert Enum.sort(answers) == Enum.sort([name, other.name])

      assert {[{:badrpc, {:EXIT, {:undef, _}}}], []} =
               :rpc.multicall([name], :no_such_module, :f, [])
    end

    test "async_call, block_call and abcast work", %{name: name} do
      key = :rpc.async_call(name, :demo, :echo, [:async])
      assert :rpc.yield(key) == :async
      assert :rpc.block_call(name, :demo, :echo, [:blocked]) == :blocked
      assert :rpc.abcast([name], :echo, {:"$gen_cast", {self(), :abcast}}) == :abcast
      assert_receive :abcast
      assert :rpc.sbcast([name], :echo, {:"$gen_cast", {self(), :sbcast}}) == {[name], []}
      assert_receive :sbcast
      assert :rpc.sbcast([name], :nobody_has_this_name, :hello) == {[], [name]}
    end
  end

  describe "rex" do
    test "serves the call that nodes without spawn requests send", %{name: name} do
      send({:rex, name}, {self(), {:call, :demo, :echo, [:by_rex], Process.group_leader()}})
      assert_receive {:rex, :by_rex}
      send({:rex, name}, {self(), {:call, :demo, :echo, [:by_user], :user}})
      assert_receive {:rex, :by_user}
    end

    test "serves the gen call of OTP 23", %{name: name} do
      leader = Process.group_leader()
      rex = {:rex, name}
      assert Wait.call(rex, {:call, :demo, :echo, [:called], leader}) == :called

      assert {:badrpc, {:EXIT, {:undef, [{:demo, :nothing, [], []} | _]}}} =
               Wait.call(rex, {:call, :demo, :nothing, [], leader})

      assert Wait.call(rex, {:call, :demo, :throw, [:ball], leader}) == :ball
      assert Wait.call(rex, {:call, :demo, :exit, [:x], leader}) == {:badrpc, {:EXIT, :x}}

      assert {:badrpc, {:EXIT, {:x, _}}} = Wait.call(rex, {:call, :demo, :raise, [:x], leader})
    end

    test "takes the cast of OTP 23", %{name: name} do
      assert runs_by_cast?(fn pid ->
               cast = {:cast, Demo.Router, :_invoke, invoke_args(pid), Process.group_leader()}
               GenServer.cast({:rex, name}, cast)
             end)
    end

    test "names its features", %{name: name} do
      send({:rex, name}, {self(), :features_request})
      assert_receive {:features_reply, ^name, features}
      assert :erpc in features
    end
  end

  describe ":erpc" do
    test "call gives what the function returns", %{name: name} do
      assert :erpc.call(name, :demo, :echo, [%{a: [1]}]) == %{a: [1]}
      assert :erpc.call(name, :demo, :whoami, [], @timeout) == name
    end

    test "call raises what a BEAM node raises", %{name: name} do
      assert {:error, {:exception, {:why, 1}, stack}} = caught(name, :demo, :raise, [{:why, 1}])
      assert is_list(stack)
      assert caught(name, :demo, :exit, [:out]) == {:exit, {:exception, :out}}
      assert caught(name, :demo, :throw, [:ball]) == {:throw, :ball}

      assert {:error, {:exception, :undef, [{:demo, :no_such, [1], []} | _]}} =
               caught(name, :demo, :no_such, [1])

      assert {:error, {:exception, :undef, [{:no_such_module, :f, [], []} | _]}} =
               caught(name, :no_such_module, :f, [])
    end

    test "call times out and says when there is no connection", %{name: name} do
      assert caught(name, :demo, :sleep, [10 * @timeout], 50) == {:error, {:erpc, :timeout}}
      nowhere = Cluster.unique_node("nowhere")
      assert caught(nowhere, :demo, :echo, [1]) == {:error, {:erpc, :noconnection}}
    end

    test "cast, send_request and multicall work", %{name: name} do
      assert :erpc.cast(name, :demo, :echo, [1]) == :ok

      assert runs_by_cast?(fn pid -> :erpc.cast(name, Demo.Router, :_invoke, invoke_args(pid)) end)

      request = :erpc.send_request(name, :demo, :echo, [:requested])
      assert :erpc.receive_response(request, @timeout) == :requested
      request = :erpc.send_request(name, :demo, :sum, [[1, 2]])
      assert :erpc.wait_response(request, @timeout) == {:response, 3}
      assert :erpc.multicall([name, name], :demo, :echo, [1]) == [{:ok, 1}, {:ok, 1}]
      assert :erpc.multicast([name], :demo, :echo, [1]) == :ok
    end

    # Each asks whoever runs it for a line, and gets one when all have asked.
    test "many calls run at once", %{name: name} do
      Process.group_leader(self(), spawn_link(fn -> answer_when_all_ask(20, []) end))

      1..20
      |> Enum.map(fn _ -> :erpc.send_request(name, :demo, :gets, ["? "]) end)
      |> Enum.each(fn request -> assert :erpc.receive_response(request, @timeout) == "line\n" end)
    end
  end

  describe "Node.spawn and its kin" do
    test "spawn gives a pid of the node", %{name: name} do
      pid = Node.spawn(name, :demo, :sleep, [1])
      assert node(pid) == name
    end

    test "spawn_monitor tells how the process ended", %{name: name} do
      {pid, ref} = :erlang.spawn_monitor(name, :demo, :exit, [:the_end])
      assert_receive {:DOWN, ^ref, :process, ^pid, :the_end}
    end

    test "spawn_monitor of an undefined function ends with undef", %{name: name} do
      {pid, ref} = :erlang.spawn_monitor(name, :no_such_module, :f, [1])
      assert_receive {:DOWN, ^ref, :process, ^pid, {:undef, [{:no_such_module, :f, [1], []} | _]}}
    end

    test "spawn_link brings the exit", %{name: name} do
      Process.flag(:trap_exit, true)
      pid = Node.spawn_link(name, :demo, :exit, [:linked])
      assert_receive {:EXIT, ^pid, :linked}
      pid = Node.spawn_link(name, :no_such_module, :f, [])
      assert_receive {:EXIT, ^pid, {:undef, [{:no_such_module, :f, [], []} | _]}}
    end

    test "spawn_opt with link and monitor brings both", %{name: name} do
      Process.flag(:trap_exit, true)
      {pid, ref} = :erlang.spawn_opt(name, :demo, :exit, [:both], [:link, :monitor])
      assert_receive {:EXIT, ^pid, :both}
      assert_receive {:DOWN, ^ref, :process, ^pid, :both}
    end

    test "spawn_request is answered", %{name: name} do
      ref = :erlang.spawn_request(name, :demo, :sleep, [1], [:monitor])
      assert_receive {:spawn_reply, ^ref, :ok, pid}
      assert_receive {:DOWN, ^ref, :process, ^pid, :normal}
    end

    test "a thousand spawns are all answered", %{name: name} do
      refs = for n <- 1..1_000, do: {n, :erlang.spawn_monitor(name, :demo, :exit, [n])}

      for {n, {pid, ref}} <- refs do
        assert_receive {:DOWN, ^ref, :process, ^pid, ^n}
      end
    end
  end

  defp answer_when_all_ask(0, asked) do
    for {from, ref} <- asked, do: send(from, {:io_reply, ref, "line\n"})
  end

  defp answer_when_all_ask(count, asked) do
    receive do
      {:io_request, from, ref, _get_line} -> answer_when_all_ask(count - 1, [{from, ref} | asked])
    end
  end

  # A service's handler run by a cast: its reply shows that it has run.
  defp invoke_args(pid) do
    message = X3m.System.Message.new(:c_echo, raw_request: :by_cast, reply_to: pid)
    [:local, Demo.Handler, :c_echo, message]
  end

  defp runs_by_cast?(cast) do
    cast.(self())
    assert_receive %{__struct__: X3m.System.Message, response: {:ok, :by_cast}}
    true
  end

  defp caught(name, module, function, args, timeout \\ @timeout) do
    {:returned, :erpc.call(name, module, function, args, timeout)}
  catch
    kind, reason -> {kind, reason}
  end

  defp pow2(n), do: :erlang.bsl(1, n)
end
