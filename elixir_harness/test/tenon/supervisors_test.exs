defmodule TenonHarness.SupervisorsTest do
  @moduledoc false
  # Supervisors of servers.so, and servers of it as children of supervisors here.
  use TenonHarness.NodeCase, async: true

  setup_all do
    tenon = start_connected_tenon(servers: true)
    {:ok, name: tenon.name}
  end

  describe "a supervisor" do
    test "starts children from any kind of specification", %{name: name} do
      sup = supervisor(name, :one_for_one)
      assert {:ok, a} = Supervisor.start_child(sup, spec(:a, 1))
      assert node(a) == name
      assert Wait.call(a, :get) == 1

      tuple =
        {:b, {:servers, :start_link, [nil, 2]}, :temporary, :brutal_kill, :worker, [:servers]}

      assert {:ok, b} = :supervisor.start_child(sup, tuple)
      assert Wait.call(b, :get) == 2

      assert Supervisor.which_children(sup) == [
               {:b, b, :worker, [:servers]},
               {:a, a, :worker, [:servers]}
             ]

      assert Supervisor.count_children(sup) == %{specs: 2, active: 2, supervisors: 0, workers: 2}
      assert {:ok, %{id: :a, restart: :permanent}} = :supervisor.get_childspec(sup, :a)
    end

    test "refuses what it cannot start", %{name: name} do
      sup = supervisor(name, :one_for_one)
      {:ok, a} = Supervisor.start_child(sup, spec(:a, 1))
      assert Supervisor.start_child(sup, spec(:a, 1)) == {:error, {:already_started, a}}

      assert {:error, {:no_way, child}} = Supervisor.start_child(sup, run(:b, :refuse, [:no_way]))
      assert :child = elem(child, 0)

      assert {:error, {{:EXIT, {:undef, [{:servers, :none, [1], _} | _]}}, _}} =
               Supervisor.start_child(sup, run(:b, :none, [1]))

      assert Supervisor.start_child(sup, run(:c, :ignore, [])) == {:ok, :undefined}
      assert {:c, :undefined, :worker, [:servers]} in Supervisor.which_children(sup)
      assert :supervisor.start_child(sup, :what) == {:error, {:invalid_child_spec, :what}}
      assert :supervisor.start_child(sup, %{id: 1}) == {:error, :missing_start}

      assert :supervisor.start_child(sup, %{run(1, :ignore, []) | restart: :ever}) ==
               {:error, {:invalid_restart_type, :ever}}
    end

    test "ends, restarts and deletes children on request", %{name: name} do
      sup = supervisor(name, :one_for_one)
      {:ok, a} = Supervisor.start_child(sup, spec(:a, 1))
      ref = Process.monitor(a)
      assert Supervisor.restart_child(sup, :a) == {:error, :running}
      assert Supervisor.delete_child(sup, :a) == {:error, :running}
      assert Supervisor.terminate_child(sup, :a) == :ok
      assert_receive {:DOWN, ^ref, :process, ^a, :shutdown}
      assert Supervisor.which_children(sup) == [{:a, :undefined, :worker, [:servers]}]
      assert {:error, :already_present} = Supervisor.start_child(sup, spec(:a, 1))
      assert {:ok, again} = Supervisor.restart_child(sup, :a)
      assert Wait.call(again, :get) == 1
      assert Supervisor.terminate_child(sup, :a) == :ok
      assert Supervisor.delete_child(sup, :a) == :ok
      assert Supervisor.which_children(sup) == []

      for verb <- [:terminate_child, :restart_child, :delete_child] do
        assert apply(Supervisor, verb, [sup, :a]) == {:error, :not_found}
      end
    end

    test "restarts by the rule of each child", %{name: name} do
      sup = supervisor(name, :one_for_one)
      {:ok, permanent} = Supervisor.start_child(sup, spec(:permanent, 1))
      {:ok, transient} = Supervisor.start_child(sup, spec(:transient, 1, restart: :transient))
      {:ok, temporary} = Supervisor.start_child(sup, spec(:temporary, 1, restart: :temporary))

      stop(permanent, :normal)
      assert is_pid(await_restart(sup, :permanent, permanent))
      stop(temporary, :boom)
      Wait.until("it is forgotten", fn -> child(sup, :temporary) == nil end)
      stop(transient, :boom)
      transient = await_restart(sup, :transient, transient)
      stop(transient, {:shutdown, 1})
      Wait.until("it stays ended", fn -> child(sup, :transient) == :undefined end)
    end

    test "restarts all with the strategy one_for_all", %{name: name} do
      sup = supervisor(name, :one_for_all)
      before = for id <- [:a, :b, :c], do: start(sup, id)
      stop(Enum.at(before, 1), :boom)

      for {id, pid} <- Enum.zip([:a, :b, :c], before) do
        assert Wait.call(await_restart(sup, id, pid), :get) == 1
      end
    end

    test "restarts those that came later with rest_for_one", %{name: name} do
      sup = supervisor(name, :rest_for_one)
      [a, b, c] = for id <- [:a, :b, :c], do: start(sup, id)
      stop(b, :boom)
      await_restart(sup, :b, b)
      await_restart(sup, :c, c)
      assert child(sup, :a) == a
    end

    test "ends when there are too many restarts, with all its children", %{name: name} do
      sup = supervisor(name, :one_for_one, 2)
      other = start(sup, :other)
      ref = Process.monitor(sup)
      other_ref = Process.monitor(other)

      last =
        Enum.reduce(1..2, start(sup, :a), fn _, pid ->
          stop(pid, :boom)
          await_restart(sup, :a, pid)
        end)

      stop(last, :boom)
      assert_receive {:DOWN, ^ref, :process, ^sup, :shutdown}
      assert_receive {:DOWN, ^other_ref, :process, ^other, :shutdown}
    end

    test "is stopped after its children", %{name: name} do
      sup = supervisor(name, :one_for_one)
      [a, b] = for id <- [:a, :b], do: start(sup, id)
      for pid <- [sup, a, b], do: Process.monitor(pid)
      assert Supervisor.stop(sup, :normal, @timeout) == :ok
      assert [{b, :shutdown}, {a, :shutdown}, {sup, :normal}] == downs(3)
    end

    test "takes its children along when it is killed", %{name: name} do
      sup = supervisor(name, :one_for_one)
      a = start(sup, :a)
      ref = Process.monitor(a)
      Process.exit(sup, :kill)
      assert_receive {:DOWN, ^ref, :process, ^a, :killed}
    end

    test "may have supervisors among its children", %{name: name} do
      outer = supervisor(name, :one_for_one)
      id = "inner" |> Cluster.unique() |> String.to_atom()
      start = {:servers, :start_supervisor_link, [id, :one_for_one, 3]}
      {:ok, inner} = Supervisor.start_child(outer, %{id: :in, start: start, type: :supervisor})
      assert Supervisor.which_children(outer) == [{:in, inner, :supervisor, [:servers]}]
      assert %{supervisors: 1, workers: 0} = Supervisor.count_children(outer)
      a = start(inner, :a)
      ref = Process.monitor(a)
      Process.exit(inner, :kill)
      assert_receive {:DOWN, ^ref, :process, ^a, :killed}
      again = await_restart(outer, :in, inner)
      a = start(again, :a)
      for pid <- [outer, again, a], do: Process.monitor(pid)
      assert Supervisor.stop(outer) == :ok
      assert [{a, :shutdown}, {again, :shutdown}, {outer, :normal}] == downs(3)
    end

    test "is looked into by sys", %{name: name} do
      sup = supervisor(name, :one_for_one)
      a = start(sup, :a)
      assert {:status, ^sup, {:module, :gen_server}, _} = :sys.get_status(sup, @timeout)
      assert :sys.suspend(sup, @timeout) == :ok
      stop(a, :boom)
      assert :sys.resume(sup, @timeout) == :ok
      await_restart(sup, :a, a)
    end
  end

  describe "a dynamic supervisor" do
    test "starts, ends and restarts children without ids", %{name: name} do
      sup = supervisor(name, :dynamic)
      assert {:ok, a} = DynamicSupervisor.start_child(sup, spec(:a, 1))
      assert {:ok, b} = DynamicSupervisor.start_child(sup, spec(:a, 2, restart: :temporary))

      assert Enum.sort(DynamicSupervisor.which_children(sup)) ==
               Enum.sort(for pid <- [a, b], do: {:undefined, pid, :worker, [:servers]})

      assert DynamicSupervisor.count_children(sup) ==
               %{specs: 2, active: 2, supervisors: 0, workers: 2}

      stop(b, :boom)
      Wait.until("it is forgotten", fn -> length(DynamicSupervisor.which_children(sup)) == 1 end)
      stop(a, :boom)

      Wait.until("it is restarted", fn ->
        match?(
          [{_, pid, _, _}] when is_pid(pid) and pid != a,
          DynamicSupervisor.which_children(sup)
        )
      end)

      [{_, again, _, _}] = DynamicSupervisor.which_children(sup)
      assert Wait.call(again, :get) == 1
      assert DynamicSupervisor.terminate_child(sup, again) == :ok
      assert DynamicSupervisor.terminate_child(sup, again) == {:error, :not_found}
    end

    test "says what it cannot start", %{name: name} do
      sup = supervisor(name, :dynamic)
      assert DynamicSupervisor.start_child(sup, run(:a, :ignore, [])) == :ignore
      assert DynamicSupervisor.start_child(sup, run(:a, :refuse, [:no_way])) == {:error, :no_way}

      assert {:error, {:undef, [{:servers, :none, [], _} | _]}} =
               DynamicSupervisor.start_child(sup, run(:a, :none, []))
    end

    test "is stopped with its children", %{name: name} do
      sup = supervisor(name, :dynamic)
      {:ok, a} = DynamicSupervisor.start_child(sup, spec(:a, 1))
      Process.monitor(a)
      Process.monitor(sup)
      assert DynamicSupervisor.stop(sup, :shutdown) == :ok
      assert [{a, :shutdown}, {sup, :shutdown}] == downs(2)
    end
  end

  describe "under a DynamicSupervisor here, a server of the node" do
    setup do
      {:ok, sup: start_supervised!({DynamicSupervisor, strategy: :one_for_one})}
    end

    test "is started, restarted and ended", %{name: name, sup: sup} do
      start = {:erpc, :call, [name, :servers, :start_link, [sup, nil, 5]]}
      assert_supervised(sup, %{id: :remote, start: start, restart: :permanent})
    end

    @tag :tenon_only
    test "knows its parent without being told", %{name: name, sup: sup} do
      start = {:erpc, :call, [name, :servers, :start_link, [nil, 5]]}
      assert_supervised(sup, %{id: :remote, start: start, restart: :permanent})
    end

    test "ends with the supervisor", %{name: name, sup: sup} do
      start = {:erpc, :call, [name, :servers, :start_link, [sup, nil, 5]]}
      {:ok, pid} = DynamicSupervisor.start_child(sup, %{id: :remote, start: start})
      ref = Process.monitor(pid)
      :ok = stop_supervised(DynamicSupervisor)
      assert_receive {:DOWN, ^ref, :process, ^pid, :shutdown}
    end

    @tag :tenon_only
    test "may be a supervisor itself", %{name: name, sup: sup} do
      args = [name, :servers, :start_supervisor_link, [:under_dynamic, :one_for_one, 3]]
      spec = %{id: :sup, start: {:erpc, :call, args}, type: :supervisor}
      {:ok, there} = DynamicSupervisor.start_child(sup, spec)
      a = start(there, :a)
      ref = Process.monitor(a)
      Process.exit(there, :kill)
      assert_receive {:DOWN, ^ref, :process, ^a, :killed}

      Wait.until("it is restarted", fn ->
        match?(
          [{_, pid, :supervisor, _}] when is_pid(pid) and pid != there,
          DynamicSupervisor.which_children(sup)
        )
      end)

      again = start({:under_dynamic, name}, :a)
      ref = Process.monitor(again)
      [{_, there, _, _}] = DynamicSupervisor.which_children(sup)
      assert DynamicSupervisor.terminate_child(sup, there) == :ok
      assert_receive {:DOWN, ^ref, :process, ^again, :shutdown}
    end
  end

  defp assert_supervised(sup, spec) do
    {:ok, pid} = DynamicSupervisor.start_child(sup, spec)
    assert Wait.call(pid, :get) == 5
    stop(pid, :boom)

    Wait.until("it is restarted", fn ->
      match?(
        [{_, again, _, _}] when is_pid(again) and again != pid,
        DynamicSupervisor.which_children(sup)
      )
    end)

    [{_, again, _, _}] = DynamicSupervisor.which_children(sup)
    assert Wait.call(again, :get) == 5
    ref = Process.monitor(again)
    assert DynamicSupervisor.terminate_child(sup, again) == :ok
    assert_receive {:DOWN, ^ref, :process, ^again, :shutdown}
    assert DynamicSupervisor.which_children(sup) == []
  end

  defp supervisor(name, strategy, max_restarts \\ 3) do
    id = "sup" |> Cluster.unique() |> String.to_atom()
    {:ok, pid} = :rpc.call(name, :servers, :start_supervisor, [id, strategy, max_restarts])
    pid
  end

  defp run(id, function, args),
    do: %{id: id, start: {:servers, function, args}, restart: :permanent}

  defp spec(id, n, opts \\ []), do: Map.merge(run(id, :start_link, [nil, n]), Map.new(opts))

  defp start(sup, id) do
    {:ok, pid} = Supervisor.start_child(sup, spec(id, 1))
    pid
  end

  defp stop(server, reason), do: GenServer.cast(server, {:stop, reason})

  # Its pid, :undefined or :restarting; nil for one that the supervisor does not know.
  defp child(sup, id) do
    case List.keyfind(Supervisor.which_children(sup), id, 0) do
      {^id, pid, _type, _modules} -> pid
      nil -> nil
    end
  end

  defp await_restart(sup, id, old) do
    Wait.until("#{id} to be restarted", fn ->
      pid = child(sup, id)
      is_pid(pid) and pid != old
    end)

    child(sup, id)
  end

  # The next ends, in their order.
  defp downs(count) do
    for _ <- 1..count do
      assert_receive {:DOWN, _ref, :process, pid, reason}
      {pid, reason}
    end
  end
end
