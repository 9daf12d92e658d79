defmodule TenonHarness.ClientTest do
  @moduledoc false
  # C as the client: of task supervisors, and of the behaviours of OTP and Elixir.
  use TenonHarness.NodeCase, async: true

  alias TenonHarness.Behaviours

  # The code in place of Tenon would be this node's own.
  @moduletag :tenon_only
  # Tasks that fail are logged where they run.
  @moduletag :capture_log

  setup_all do
    tenon = start_connected_tenon(args: ["--load", TenonNode.client_so()])
    {:ok, c: tenon.name}
  end

  describe "a task that C starts under a supervisor here" do
    setup :start_tasks

    test "gives what its function returns", %{c: c, tasks: tasks} do
      for function <- [:task, :task_called_back] do
        assert client(c, function, [tasks, :erlang, :+, [1, 2], @timeout]) == {:OK, 3}
        big = :binary.copy("tenon", 100_000)

        assert client(c, function, [tasks, :demo, :echo, [{self(), big}], @timeout]) ==
                 {:OK, {self(), big}}

        assert client(c, function, [tasks, Kernel, :node, [], @timeout]) == {:OK, node()}
      end
    end

    test "tells how it failed", %{c: c, tasks: tasks} do
      for function <- [:task, :task_called_back] do
        run = fn function_here, args ->
          client(c, function, [tasks, :demo, function_here, args, @timeout])
        end

        assert {:REMOTE_ERROR, {:boom, [{:demo, :raise, _, _} | _]}} = run.(:raise, [:boom])
        assert {:REMOTE_EXIT, {:some, :reason}} = run.(:exit, [{:some, :reason}])
        assert {:REMOTE_EXIT, :normal} = run.(:exit, [:normal])
        assert {:REMOTE_THROW, "ball"} = run.(:throw, ["ball"])
        assert {:REMOTE_UNDEF, {:undef, [{:demo, :none, [1], _} | _]}} = run.(:none, [1])
      end
    end

    test "is killed when it takes too long", %{c: c, tasks: tasks} do
      assert killed_after(c, tasks, 100) == :killed
    end

    test "is shut down, asked or killed", %{c: c, tasks: tasks} do
      for {function, timeout_ms, reason} <- [
            {:hang, @timeout, :shutdown},
            {:hang, 0, :killed},
            {:hang_on, 10, :killed}
          ] do
        {id, linked} = client(c, :start, [tasks, Behaviours, function, [self()], 60_000])
        ref = monitor_hanging()
        linked_ref = Process.monitor(linked)
        assert client(c, :await, [id, 0]) == {:TIMEOUT, nil}
        assert client(c, :shutdown, [id, timeout_ms]) == {:REMOTE_EXIT, reason}
        assert_receive {:DOWN, ^ref, :process, _pid, ^reason}
        assert client(c, :await, [id, 0]) == {:REMOTE_EXIT, reason}
        refute_received {:DOWN, ^linked_ref, :process, _pid, _reason}
      end
    end

    test "takes the linked process in C along, or is taken along", %{c: c, tasks: tasks} do
      {id, linked} = client(c, :start, [tasks, Behaviours, :hang, [self()], 60_000])
      linked_ref = Process.monitor(linked)
      assert_receive {:hangs, pid}
      Process.exit(pid, :broken)
      assert_receive {:DOWN, ^linked_ref, :process, ^linked, :broken}
      assert client(c, :await, [id, @timeout]) == {:REMOTE_EXIT, :broken}

      {id, linked} = client(c, :start, [tasks, Behaviours, :hang, [self()], 60_000])
      ref = monitor_hanging()
      Process.exit(linked, :enough)
      assert_receive {:DOWN, ^ref, :process, _pid, :enough}
      assert client(c, :await, [id, @timeout]) == {:REMOTE_EXIT, :enough}
    end

    test "may not be started", %{c: c, tasks: tasks} do
      {_name, here} = tasks
      hang = fn to -> client(c, :task, [to, Behaviours, :hang, [self()], @timeout]) end
      assert hang.({:no_such_supervisor, here}) == {:NOPROC, nil}
      assert hang.({:any, Cluster.unique_node("nowhere")}) == {:NODEDOWN, nil}

      for _ <- 1..3 do
        client(c, :start, [tasks, Behaviours, :hang, [self()], 60_000])
        assert_receive {:hangs, _pid}
      end

      assert hang.(tasks) == {:LIMIT, nil}

      assert client(c, :start_child, [tasks, Behaviours, :hang, [self()], @timeout]) ==
               {:LIMIT, nil}
    end

    test "without anybody who awaits it is a child like any other", %{c: c, tasks: tasks} do
      assert {:OK, pid} = client(c, :start_child, [tasks, Behaviours, :hang, [self()], @timeout])
      assert_receive {:hangs, ^pid}
      assert Task.Supervisor.children(tasks) == [pid]
      ref = Wait.monitor(pid)
      assert client(c, :call, [tasks, {:terminate_child, pid}, @timeout]) == {:OK, :ok}
      assert_receive {:DOWN, ^ref, :process, ^pid, :shutdown}
    end
  end

  test "a task runs on another C node as well", %{c: c} do
    other = start_tenon()
    tasks = {Demo.Tasks, other.name}
    assert client(c, :task, [tasks, :demo, :sum, [[1, 2, 3]], @timeout]) == {:OK, 6}
    assert client(c, :task, [tasks, :demo, :whoami, [], @timeout]) == {:OK, other.name}

    assert {:REMOTE_ERROR, {:oops, _}} =
             client(c, :task, [tasks, :demo, :raise, [:oops], @timeout])

    {id, _linked} = client(c, :start, [tasks, :demo, :sleep, [60_000], 60_000])

    Wait.until("the task", fn ->
      client(c, :call, [tasks, :which_children, @timeout]) != {:OK, []}
    end)

    TenonNode.kill(other)
    assert client(c, :await, [id, @timeout]) == {:NODEDOWN, nil}
  end

  describe "C calls" do
    test "a DynamicSupervisor", %{c: c} do
      {name, _} = to = unique()
      start_supervised!({DynamicSupervisor, strategy: :one_for_one, name: name, max_children: 1})
      call = fn request -> client(c, :call, [to, request, @timeout]) end
      agent = {{Agent, :start_link, [Map, :new, []]}, :temporary, 5_000, :worker, [Agent]}
      missing = {{:no_such_module, :start_link, []}, :temporary, 5_000, :worker, []}

      assert {:OK, {:error, {:undef, [{:no_such_module, :start_link, [], []} | _]}}} =
               call.({:start_child, missing})

      assert {:OK, {:ok, pid}} = call.({:start_child, agent})
      assert Agent.get(pid, & &1) == %{}
      assert call.({:start_child, agent}) == {:OK, {:error, :max_children}}
      assert call.(:which_children) == {:OK, [{:undefined, pid, :worker, [Agent]}]}
      assert call.(:count_children) == {:OK, [specs: 1, active: 1, supervisors: 0, workers: 1]}
      ref = Wait.monitor(pid)
      assert call.({:terminate_child, pid}) == {:OK, :ok}
      assert_receive {:DOWN, ^ref, :process, ^pid, :shutdown}
      assert call.({:terminate_child, pid}) == {:OK, {:error, :not_found}}
    end

    test "a Supervisor", %{c: c} do
      {name, _} = to = unique()

      start_supervised!(%{id: name, start: {Supervisor, :start_link, [[], supervisor_opts(name)]}})

      call = fn request -> client(c, :call, [to, request, @timeout]) end
      spec = %{id: :an_agent, start: {Agent, :start_link, [Map, :new, []]}}
      assert {:OK, {:ok, pid}} = call.({:start_child, spec})
      assert call.({:start_child, spec}) == {:OK, {:error, {:already_started, pid}}}
      assert call.({:terminate_child, :an_agent}) == {:OK, :ok}
      assert {:OK, {:ok, again}} = call.({:restart_child, :an_agent})
      assert again != pid
      assert call.({:delete_child, :an_agent}) == {:OK, {:error, :running}}
    end

    test "an Agent", %{c: c} do
      {name, _} = to = unique()
      start_supervised!(%{id: name, start: {Agent, :start_link, [Map, :new, [], [name: name]]}})
      call = fn request -> client(c, :call, [to, request, @timeout]) end
      assert call.({:update, {Map, :put, [:a, 1]}}) == {:OK, :ok}
      assert call.({:get, {Map, :get, [:a]}}) == {:OK, 1}
      assert call.({:get_and_update, {Map, :pop, [:a]}}) == {:OK, 1}
      assert client(c, :cast, [to, {:cast, {Map, :put, [:b, self()]}}]) == {:OK, nil}
      assert call.({:get, {Map, :fetch!, [:b]}}) == {:OK, self()}
      assert {:REMOTE_EXIT, {_no_such_key, [_ | _]}} = call.({:get, {Map, :fetch!, [:c]}})
    end

    test "a process of a Registry, which only its own node can look up", %{c: c} do
      {name, here} = unique()
      start_supervised!({Registry, keys: :unique, name: name})
      {:ok, _} = Registry.register(name, "key", :value)
      rpc = fn function, args -> client(c, :rpc, [here, Registry, function, args]) end
      assert rpc.(:lookup, [name, "key"]) == {:OK, [{self(), :value}]}
      assert rpc.(:lookup, [name, "no key"]) == {:OK, []}
      {:OK, [{pid, :value}]} = rpc.(:lookup, [name, "key"])
      assert client(c, :send, [pid, :found]) == {:OK, nil}
      assert_receive :found
    end

    test "a gen_event manager", %{c: c} do
      {name, _} = to = unique()
      {:ok, manager} = :gen_event.start({:local, name})
      on_exit(fn -> Process.exit(manager, :kill) end)
      :ok = :gen_event.add_handler(manager, Behaviours.Events, self())
      assert client(c, :send, [to, {:notify, {:an, "event"}}]) == {:OK, nil}
      assert_receive {:event, {:an, "event"}}
      assert client(c, :call, [to, {:sync_notify, :waited_for}, @timeout]) == {:OK, :ok}
      assert_received {:event, :waited_for}
      call = fn handler -> client(c, :call, [manager, {:call, handler, :query}, @timeout]) end
      assert call.(Behaviours.Events) == {:OK, {:answer, :query}}
      assert call.(NoHandler) == {:OK, {:error, :bad_module}}
      assert client(c, :call, [to, :which_handlers, @timeout]) == {:OK, [Behaviours.Events]}
    end

    test "a gen_statem", %{c: c} do
      {name, _} = to = unique()
      {:ok, door} = :gen_statem.start({:local, name}, Behaviours.Door, self(), [])
      on_exit(fn -> Process.exit(door, :kill) end)
      assert client(c, :call, [to, :state, @timeout]) == {:OK, :closed}
      assert client(c, :call, [door, :open, @timeout]) == {:OK, {:was, :closed}}
      assert client(c, :cast, [to, :closed]) == {:OK, nil}
      assert_receive {:cast, :open, :closed}
      assert client(c, :send, [to, :plain]) == {:OK, nil}
      assert_receive {:info, :plain}
      assert {:REMOTE_EXIT, {:function_clause, [_ | _]}} = client(c, :call, [to, :what, @timeout])
    end
  end

  # Under a supervisor of this node, which is left when the test ends.
  defp start_tasks(_context) do
    {name, _} = tasks = unique()
    start_supervised!({Task.Supervisor, name: name, max_children: 3})
    {:ok, tasks: tasks}
  end

  defp supervisor_opts(name), do: [strategy: :one_for_one, name: name]

  defp client(c, function, args), do: :rpc.call(c, :client, function, args)

  defp unique, do: {String.to_atom(Cluster.unique("client_test")), node()}

  # How a task ends that is given up: longer and longer after its start, until there was time to see it run.
  defp killed_after(c, tasks, timeout_ms) do
    test = self()
    ran = spawn_link(fn -> watch_hanging(test) end)
    assert client(c, :task, [tasks, Behaviours, :hang, [ran], timeout_ms]) == {:TIMEOUT, nil}
    send(ran, :given_up)

    receive do
      {^ran, {:ended, reason}} when reason != :noproc -> reason
      {^ran, _not_seen} -> killed_after(c, tasks, 2 * timeout_ms)
    end
  end

  # Tells how what hangs has ended, or that nothing was seen to hang.
  defp watch_hanging(test) do
    receive do
      {:hangs, pid} ->
        ref = Process.monitor(pid)
        assert_receive {:DOWN, ^ref, :process, ^pid, reason}
        send(test, {self(), {:ended, reason}})

      :given_up ->
        send(test, {self(), :nothing})
    end
  end

  defp monitor_hanging do
    assert_receive {:hangs, pid}
    Process.monitor(pid)
  end
end
