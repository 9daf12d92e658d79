defmodule TenonHarness.TasksTest do
  @moduledoc false
  # Demo.Tasks of demo.so as the task supervisor of Elixir code.
  use TenonHarness.NodeCase, async: true

  setup_all do
    tenon = start_connected_tenon()
    {:ok, name: tenon.name, tasks: {Demo.Tasks, tenon.name}}
  end

  describe "async" do
    test "gives what the function returns", %{name: name, tasks: tasks} do
      task = Task.Supervisor.async(tasks, :demo, :sum, [[1, 2, 3]])
      assert node(task.pid) == name
      assert Wait.await(task) == 6
      assert tasks |> Task.Supervisor.async(:demo, :whoami, []) |> Wait.await() == name
    end

    test "carries any term", %{tasks: tasks} do
      big = :binary.copy("tenon", 100_000)

      for term <- [{self(), make_ref(), [1.5, "text" | :tail]}, big, %{big => [big]}, []] do
        assert tasks |> Task.Supervisor.async(:demo, :echo, [term]) |> Wait.await() == term
      end
    end

    test "takes the name of a function for a function without arguments", %{
      name: name,
      tasks: tasks
    } do
      assert tasks |> Task.Supervisor.async(&:demo.whoami/0) |> Wait.await() == name
    end

    test "runs many at a time", %{tasks: tasks} do
      started = for n <- 1..200, do: {n, Task.Supervisor.async(tasks, :demo, :echo, [n])}
      for {n, task} <- started, do: assert(Wait.await(task) == n)
      slept = for _ <- 1..20, do: Task.Supervisor.async(tasks, :demo, :sleep, [20])
      assert Enum.map(slept, &Wait.await/1) == List.duplicate(:ok, 20)
    end

    test "tells a trapping caller of the task's normal end", %{tasks: tasks} do
      Process.flag(:trap_exit, true)
      %Task{pid: pid, ref: ref} = Task.Supervisor.async(tasks, :demo, :echo, [:hello])
      assert_receive {^ref, :hello}
      assert_receive {:DOWN, ^ref, :process, ^pid, :normal}
      assert_receive {:EXIT, ^pid, :normal}
    end

    test "takes the caller along when it fails", %{tasks: tasks} do
      for {function, argument, reason} <- [
            {:raise, :oops, {:oops, :stack}},
            {:exit, :why, :why},
            {:exit, :shutdown, :shutdown},
            {:throw, :ball, {{:nocatch, :ball}, :stack}}
          ] do
        down = end_of(fn -> await(tasks, function, argument) end)
        assert without_stack(down) == reason
      end
    end

    test "ends with a caller that fails", %{tasks: tasks} do
      test = self()

      caller =
        spawn(fn ->
          send(test, Task.Supervisor.async(tasks, :demo, :sleep, [10 * @timeout]))
          :demo.sleep(:infinity)
        end)

      assert_receive %Task{pid: pid}
      ref = Process.monitor(pid)
      Process.exit(caller, :broken)
      assert_receive {:DOWN, ^ref, :process, ^pid, :broken}
    end

    test "ends with the node of its caller", %{tasks: tasks} do
      beam = start_beam()

      on beam, tasks: tasks, test: self(), ms: 10 * @timeout do
        spawn(fn ->
          send(test, Task.Supervisor.async(tasks, :demo, :sleep, [ms]))
          :demo.sleep(:infinity)
        end)
      end

      assert_receive %Task{pid: pid}
      ref = Process.monitor(pid)
      # The monitor is there when what was sent after it is answered.
      assert Wait.call({:echo, node(pid)}, :watched) == :watched
      Program.stop(beam.program)
      assert_receive {:DOWN, ^ref, :process, ^pid, :noconnection}
    end

    test "awaited for too long ends the caller, and the task", %{tasks: tasks} do
      test = self()

      {caller, caller_ref} =
        spawn_monitor(fn ->
          task = Task.Supervisor.async(tasks, :demo, :sleep, [10 * @timeout])
          send(test, {:started, task.pid})
          assert_receive :watched
          Task.await(task, 10)
        end)

      assert_receive {:started, pid}
      ref = Process.monitor(pid)
      send(caller, :watched)
      assert_receive {:DOWN, ^caller_ref, :process, ^caller, reason}
      assert {:timeout, {Task, :await, [%Task{pid: ^pid}, 10]}} = reason
      assert_receive {:DOWN, ^ref, :process, ^pid, ^reason}
    end
  end

  describe "async_nolink" do
    test "tells how a task failed", %{tasks: tasks} do
      assert {:exit, {:oops, [{:demo, :raise, _, _} | _]}} = yield(tasks, :raise, [:oops])
      assert {:exit, :why} = yield(tasks, :exit, [:why])
      assert {:exit, {{:nocatch, :ball}, [_ | _]}} = yield(tasks, :throw, [:ball])

      assert {:exit, {:undef, [{:demo, :nothing, [1, 2], _} | _]}} =
               yield(tasks, :nothing, [1, 2])

      assert {:ok, {:error, :data}} = yield(tasks, :echo, [{:error, :data}])
    end

    test "goes on without its caller", %{tasks: tasks} do
      test = self()

      {_pid, ref} =
        spawn_monitor(fn ->
          send(test, Task.Supervisor.async_nolink(tasks, :demo, :sleep, [10 * @timeout]))
          exit(:broken)
        end)

      assert_receive %Task{pid: pid}
      assert_receive {:DOWN, ^ref, :process, _pid, :broken}
      assert pid in Task.Supervisor.children(tasks)
      assert Task.Supervisor.terminate_child(tasks, pid) == :ok
    end

    test "is shut down, asked or killed", %{tasks: tasks} do
      for how <- [:brutal_kill, @timeout] do
        task = Task.Supervisor.async_nolink(tasks, :demo, :sleep, [10 * @timeout])
        ref = Process.monitor(task.pid)
        assert Task.yield(task, 0) == nil
        assert Task.shutdown(task, how) == nil
        expected = if how == :brutal_kill, do: :killed, else: :shutdown
        assert_receive {:DOWN, ^ref, :process, _pid, ^expected}
        refute task.pid in Task.Supervisor.children(tasks)
      end
    end

    test "that has ended gives its result to a shutdown", %{tasks: tasks} do
      task = Task.Supervisor.async_nolink(tasks, :demo, :echo, [:done])
      ref = Process.monitor(task.pid)
      assert_receive {:DOWN, ^ref, :process, _pid, _normal_or_noproc}
      assert Task.shutdown(task, @timeout) == {:ok, :done}
    end
  end

  describe "async_stream" do
    test "maps in order", %{tasks: tasks} do
      opts = [max_concurrency: 8, timeout: @timeout]
      stream = Task.Supervisor.async_stream(tasks, 1..50, :demo, :echo, [], opts)
      assert Enum.to_list(stream) == for(n <- 1..50, do: {:ok, n})
      lists = for n <- 1..5, do: [n, n]
      opts = [ordered: false, timeout: @timeout]
      stream = Task.Supervisor.async_stream(tasks, lists, :demo, :sum, [], opts)
      assert Enum.sort(stream) == for(n <- 1..5, do: {:ok, 2 * n})
    end

    test "takes the caller along when one fails", %{tasks: tasks} do
      reason =
        end_of(fn ->
          tasks
          |> Task.Supervisor.async_stream([:a, :b], :demo, :exit, [], timeout: @timeout)
          |> Stream.run()
        end)

      assert reason in [:a, :b, {:a, {Task.Supervised, :stream, [@timeout]}}]
    end

    test "without links tells which failed", %{tasks: tasks} do
      opts = [timeout: @timeout]
      stream = Task.Supervisor.async_stream_nolink(tasks, [:a, :b], :demo, :exit, [], opts)
      assert Enum.to_list(stream) == [exit: :a, exit: :b]
    end

    test "kills what takes too long", %{tasks: tasks} do
      opts = [timeout: 100, on_timeout: :kill_task, max_concurrency: 2]
      long = [10 * @timeout, 10 * @timeout]
      stream = Task.Supervisor.async_stream_nolink(tasks, long, :demo, :sleep, [], opts)
      assert Enum.to_list(stream) == [exit: :timeout, exit: :timeout]
      Wait.until("an empty supervisor", fn -> Task.Supervisor.children(tasks) == [] end)
    end
  end

  describe "start_child" do
    setup do
      tenon = start_connected_tenon()
      {:ok, name: tenon.name, tasks: {Demo.Tasks, tenon.name}}
    end

    test "runs, is listed and counted, and is terminated", %{name: name, tasks: tasks} do
      assert Task.Supervisor.children(tasks) == []
      assert {:ok, pid} = Task.Supervisor.start_child(tasks, :demo, :sleep, [10 * @timeout])
      assert node(pid) == name
      assert Task.Supervisor.children(tasks) == [pid]

      assert DynamicSupervisor.count_children(tasks) ==
               %{specs: 1, active: 1, supervisors: 0, workers: 1}

      assert DynamicSupervisor.which_children(tasks) ==
               [{:undefined, pid, :worker, [Task.Supervised]}]

      ref = Process.monitor(pid)
      assert Task.Supervisor.terminate_child(tasks, pid) == :ok
      assert_receive {:DOWN, ^ref, :process, ^pid, :shutdown}
      assert Task.Supervisor.terminate_child(tasks, pid) == {:error, :not_found}
      assert Task.Supervisor.children(tasks) == []
    end

    test "ends by itself, however it does", %{tasks: tasks} do
      for {function, args} <- [sleep: [0], raise: [:oops], exit: [:why], nothing: []] do
        assert {:ok, _pid} = Task.Supervisor.start_child(tasks, :demo, function, args)
      end

      Wait.until("the ends", fn -> Task.Supervisor.children(tasks) == [] end)
    end

    test "is started anew when it is to be", %{tasks: tasks} do
      {:ok, first} =
        Task.Supervisor.start_child(tasks, :demo, :sleep, [10 * @timeout], restart: :transient)

      Process.exit(first, :kill)

      second =
        Wait.until("the restart", fn ->
          case Task.Supervisor.children(tasks) do
            [pid] when pid != first -> pid
            _none_yet -> nil
          end
        end)

      Process.exit(second, :shutdown)
      Wait.until("the end", fn -> Task.Supervisor.children(tasks) == [] end)
    end

    test "that fails too often ends the supervisor", %{name: name, tasks: tasks} do
      ref = Process.monitor(tasks)
      options = [restart: :permanent]
      assert {:ok, _pid} = Task.Supervisor.start_child(tasks, :demo, :exit, [:again], options)
      assert_receive {:DOWN, ^ref, :process, {Demo.Tasks, ^name}, :shutdown}
    end

    test "ends with its supervisor", %{tasks: tasks} do
      {:ok, pid} = Task.Supervisor.start_child(tasks, :demo, :sleep, [10 * @timeout])
      ref = Process.monitor(pid)
      assert DynamicSupervisor.stop(tasks, {:shutdown, :over}) == :ok
      assert_receive {:DOWN, ^ref, :process, ^pid, :shutdown}
      assert {:noproc, _} = catch_exit(Task.Supervisor.children(tasks))
    end
  end

  test "a task nobody gives an order ends with its owner", %{tasks: tasks} do
    test = self()

    # What a client does that dies between the supervisor's answer and the order.
    owner =
      spawn(fn ->
        args =
          if Version.match?(System.version(), ">= 1.13.0"),
            do: [{node(), self(), self()}, :monitor],
            else: [{node(), self(), self()}, [], :monitor, {:demo, :echo, [1]}]

        send(test, Wait.call(tasks, {:start_task, args, :temporary, nil}))
        :demo.sleep(:infinity)
      end)

    assert_receive {:ok, pid}
    ref = Process.monitor(pid)
    Process.exit(owner, :kill)
    assert_receive {:DOWN, ^ref, :process, ^pid, {:shutdown, reason}}
    assert reason in [:killed, :noproc]
  end

  @tag :tenon_only
  test "a supervisor in C serves clients of all generations", %{tasks: tasks} do
    owner = {node(), self(), self()}
    mfa = {:demo, :sum, [[1, 2]]}
    {:ok, old} = Wait.call(tasks, {:start_task, [owner, [], :monitor, mfa], :temporary, nil})
    send(old, {self(), :old})
    assert_receive {:old, 3}
    {:ok, new} = Wait.call(tasks, {:start_task, [owner, :monitor], :temporary, nil})
    send(new, {self(), :new, self(), [], mfa})
    assert_receive {:new, 3}
    {:ok, _} = Wait.call(tasks, {:start_task, [owner, [], mfa], nil, nil})
  end

  @tag :tenon_only
  test "what is no task is refused, and harms nobody", %{tasks: tasks} do
    assert {:error, {:undef, [{Task.Supervised, :start_link, [1, 2, 3, 4, 5], []}]}} =
             Wait.call(tasks, {:start_task, [1, 2, 3, 4, 5], nil, nil})

    assert {:error, {:function_clause, _}} =
             Wait.call(tasks, {:start_task, [:me, :monitor], nil, nil})

    assert {:error, {:undef, [{:os, :cmd, [~c"id"], []}]}} =
             DynamicSupervisor.start_child(tasks, %{id: 1, start: {:os, :cmd, [~c"id"]}})

    assert {:error, :notsup} = Wait.call(tasks, :what)
    send(tasks, :noise)
    assert tasks |> Task.Supervisor.async(:demo, :echo, [:fine]) |> Wait.await() == :fine
  end

  @tag :tenon_only
  test "an anonymous function is undefined in C", %{tasks: tasks} do
    task = Task.Supervisor.async_nolink(tasks, fn -> :here end)
    assert {:exit, {:undef, _stack}} = Task.yield(task, @timeout)
  end

  defp await(tasks, function, argument) do
    tasks |> Task.Supervisor.async(:demo, function, [argument]) |> Wait.await()
  end

  defp yield(tasks, function, args) do
    tasks |> Task.Supervisor.async_nolink(:demo, function, args) |> Task.yield(@timeout)
  end

  # The reason with which a process ends that runs `fun`.
  defp end_of(fun) do
    {pid, ref} = spawn_monitor(fun)
    assert_receive {:DOWN, ^ref, :process, ^pid, reason}
    reason
  end

  defp without_stack({reason, [{_module, _name, _args, _location} | _]}), do: {reason, :stack}
  defp without_stack(reason), do: reason
end
