defmodule TenonHarness.InfoTest do
  use TenonHarness.NodeCase, async: true

  # What tools ask a node by rpc. This node's own answers say which shapes they know.
  setup_all do
    tenon = start_connected_tenon()
    name = tenon.name
    {:ok, tenon: tenon, name: name, echo: :rpc.call(name, :erlang, :whereis, [:echo])}
  end

  describe "the node" do
    test "tells its name and its peers", %{name: name} do
      assert erlang(name, :node, []) == name
      assert erlang(name, :is_alive, []) == true
      assert node() in erlang(name, :nodes, [])
      assert node() in erlang(name, :nodes, [:visible])
      assert node() in erlang(name, :nodes, [[:this, :connected]])
      assert name in erlang(name, :nodes, [[:this, :connected]])
      assert erlang(name, :nodes, [:this]) == [name]
      assert node() in erlang(name, :nodes, [:known])
      refute node() in erlang(name, :nodes, [:hidden])
      assert {:badrpc, {:EXIT, {:badarg, _}}} = erlang(name, :nodes, [:what])
      assert node() in :rpc.call(name, Node, :list, [])
      assert :rpc.call(name, Node, :self, []) == name
      assert erlang(name, :node, [self()]) == node()
      assert :net_adm.ping(name) == :pong
      assert :rpc.call(name, :net_adm, :localhost, []) |> List.ascii_printable?()
    end

    test "reaches other nodes when asked to", %{name: name} do
      other = start_beam()
      refute other.name in erlang(name, :nodes, [])
      assert :rpc.call(name, :net_adm, :ping, [other.name]) == :pong
      assert other.name in erlang(name, :nodes, [])
      assert :rpc.call(name, Node, :ping, [node()]) == :pong
      assert :rpc.call(name, Node, :ping, [name]) == :pong
      assert :rpc.call(name, :net_kernel, :connect_node, [other.name]) == true
      assert :rpc.call(name, Node, :connect, [name]) == true
      nobody = :"#{Cluster.unique("nobody")}@localhost"
      assert :rpc.call(name, Node, :ping, [nobody]) == :pang
      assert :rpc.call(name, Node, :connect, [nobody]) == false
      {answers, []} = :rpc.multicall([name, other.name], Node, :list, [])
      assert Enum.all?(answers, &(node() in &1))
      assert {:badrpc, {:EXIT, {_, _}}} = :rpc.call(name, Node, :ping, ["text"])
    end

    @tag :epmd
    test "tells what epmd knows", %{name: name} do
      {:ok, names} = :net_adm.names()
      [alive, _host] = name |> to_charlist() |> :string.split(~c"@")
      {^alive, port} = List.keyfind(names, alive, 0)

      for arguments <- [[], [~c"localhost"], [:localhost]] do
        assert {:ok, there} = :rpc.call(name, :net_adm, :names, arguments)
        assert {alive, port} in there
      end

      assert {:error, _why} = :rpc.call(name, :net_adm, :names, [~c"no such host"])
      assert {:badrpc, {:EXIT, {_, _}}} = :rpc.call(name, :net_adm, :names, [1])
    end

    test "tells its machine's name", %{name: name} do
      assert :rpc.call(name, :inet, :gethostname, []) == :inet.gethostname()
    end

    test "answers for the names of global" do
      # In a mesh of their own.
      {member, other} = {start_tenon(mesh: true), start_beam()}
      assert on(other, name: member.name, do: Node.ping(name)) == :pong
      assert on(other, [], do: :global.sync()) == :ok

      call = fn function, args ->
        BeamNode.call(other, :rpc, :call, [member.name, :global, function, args])
      end

      holder =
        on other, [] do
          holder = spawn(fn -> Process.sleep(:infinity) end)
          :yes = :global.register_name({:info, :test}, holder)
          holder
        end

      assert call.(:sync, []) == :ok
      assert call.(:whereis_name, [{:info, :test}]) == holder
      assert {:info, :test} in call.(:registered_names, [])
      assert call.(:whereis_name, [:nobody]) == :undefined
      on other, [], do: :global.unregister_name({:info, :test})
      assert call.(:whereis_name, [{:info, :test}]) == :undefined
    end

    @tag :tenon_only
    test "that is no member of global has no names", %{name: name} do
      assert :rpc.call(name, :global, :whereis_name, [:nobody]) == :undefined
      assert :rpc.call(name, :global, :registered_names, []) == []
      assert :rpc.call(name, :global, :sync, []) == {:error, :notsup}
    end

    test "sees a hidden node as one", %{name: name} do
      hidden = start_beam(hidden: true)
      assert on(hidden, name: name, do: Node.ping(name)) == :pong
      assert hidden.name in erlang(name, :nodes, [:hidden])
      refute hidden.name in erlang(name, :nodes, [])
    end

    test "tells its net_ticktime", %{name: name} do
      assert :rpc.call(name, :net_kernel, :get_net_ticktime, []) == 60
      quick = start_connected_tenon(ticktime_s: 7)
      assert :rpc.call(quick.name, :net_kernel, :get_net_ticktime, []) == 7
    end

    test "tells the time in any unit", %{name: name} do
      # A BEAM node follows its machine's clock slowly, so that the two need not tell the same.
      for unit <- [:second, :millisecond, :microsecond, :nanosecond, 1, 1000] do
        a_minute = System.convert_time_unit(60, :second, unit)
        there = erlang(name, :system_time, [unit])
        assert abs(System.system_time(unit) - there) < a_minute
      end

      one = erlang(name, :monotonic_time, [:nanosecond])
      assert one < erlang(name, :monotonic_time, [:nanosecond])
      assert {_mega, _seconds, _micro} = erlang(name, :timestamp, [])
      assert {{_, _, _}, {_, _, _}} = erlang(name, :universaltime, [])
      assert {:badrpc, {:EXIT, {:badarg, _}}} = erlang(name, :system_time, [:parsec])
    end

    test "has started", %{name: name} do
      assert {:started, _} = :rpc.call(name, :init, :get_status, [])

      for {app, description, version} <- :rpc.call(name, :application, :which_applications, []) do
        assert is_atom(app) and is_list(description) and is_list(version)
        assert :rpc.call(name, :application, :get_key, [app, :vsn]) == {:ok, version}
        assert :rpc.call(name, Application, :spec, [app, :vsn]) == version
        assert :rpc.call(name, Application, :spec, [app])[:vsn] == version
        assert {:ok, keys} = :rpc.call(name, :application, :get_all_key, [app])
        assert keys[:description] == description
        assert :rpc.call(name, :application, :get_key, [app, :no_such_key]) == :undefined
        assert :rpc.call(name, Application, :get_env, [app, :no_such_key]) == nil
        assert :rpc.call(name, Application, :get_env, [app, :no_such_key, 1]) == 1
        assert :rpc.call(name, Application, :fetch_env, [app, :no_such_key]) == :error
        assert :rpc.call(name, :application, :get_env, [app, :no_such_key]) == :undefined
        assert :rpc.call(name, :application, :get_env, [app, :no_such_key, 1]) == 1
        assert is_list(:rpc.call(name, :application, :get_all_env, [app]))
      end

      for function <- [:get_key, :get_env] do
        assert :rpc.call(name, :application, function, [:no_such_app, :vsn]) == :undefined
      end

      assert :rpc.call(name, :application, :get_all_key, [:no_such_app]) == :undefined
      assert :rpc.call(name, Application, :spec, [:no_such_app]) == nil
      assert :rpc.call(name, Application, :spec, [:no_such_app, :vsn]) == nil
      assert :rpc.call(name, Application, :get_all_env, [:no_such_app]) == []
    end

    test "tells Elixir's System what it runs on", %{name: name} do
      assert name |> :rpc.call(System, :otp_release, []) |> String.to_integer() >= 23
      assert :rpc.call(name, System, :schedulers, []) >= 1
      assert :rpc.call(name, System, :schedulers_online, []) >= 1
    end
  end

  describe "processes" do
    test "are listed, and found by name", %{name: name, echo: echo} do
      processes = erlang(name, :processes, [])
      assert echo in processes
      assert length(processes) == length(Enum.uniq(processes))
      assert :echo in erlang(name, :registered, [])
      assert :rex in erlang(name, :registered, [])
      assert erlang(name, :whereis, [:nobody]) == :undefined
      assert :rpc.call(name, Process, :whereis, [:nobody]) == nil
      assert :rpc.call(name, Process, :whereis, [:echo]) == echo
      assert {:badrpc, {:EXIT, {:badarg, _}}} = erlang(name, :whereis, ["echo"])
    end

    test "are alive until they end", %{name: name} do
      pid = Node.spawn(name, :demo, :sleep, [60_000])
      assert erlang(name, :is_process_alive, [pid])
      assert :rpc.call(name, Process, :alive?, [pid])
      assert pid in erlang(name, :processes, [])
      ref = Process.monitor(pid)
      Process.exit(pid, :kill)
      assert_receive {:DOWN, ^ref, :process, ^pid, :killed}
      refute erlang(name, :is_process_alive, [pid])
      refute pid in erlang(name, :processes, [])
      assert erlang(name, :process_info, [pid]) == :undefined
      assert erlang(name, :process_info, [pid, :links]) == :undefined
      assert :rpc.call(name, Process, :info, [pid]) == nil
      assert {:badrpc, {:EXIT, {:badarg, _}}} = erlang(name, :is_process_alive, [self()])
    end

    test "tell what they are", %{name: name, echo: echo} do
      assert erlang(name, :process_info, [echo, :registered_name]) == {:registered_name, :echo}
      assert erlang(name, :process_info, [echo, :trap_exit]) == {:trap_exit, false}
      assert {:group_leader, leader} = erlang(name, :process_info, [echo, :group_leader])
      assert node(leader) == name
      pid = Node.spawn(name, :demo, :sleep, [60_000])
      call = {:demo, :sleep, 1}

      Wait.until("the function", fn ->
        erlang(name, :process_info, [pid, :current_function]) == {:current_function, call}
      end)

      assert erlang(name, :process_info, [pid, :initial_call]) == {:initial_call, call}
      assert erlang(name, :process_info, [pid, :registered_name]) == []
      assert :rpc.call(name, Process, :info, [pid, :registered_name]) == {:registered_name, []}
      assert [registered_name: []] = erlang(name, :process_info, [pid, [:registered_name]])
      assert {:memory, bytes} = erlang(name, :process_info, [pid, :memory])
      assert bytes > 0
      Process.exit(pid, :kill)
    end

    test "tell who is linked to them, and who monitors them", %{name: name} do
      pid = Node.spawn_link(name, :demo, :sleep, [60_000])
      ref = Process.monitor(pid)
      me = self()

      Wait.until("the link and the monitor", fn ->
        erlang(name, :process_info, [pid, [:links, :monitored_by]]) ==
          [links: [me], monitored_by: [me]]
      end)

      Process.demonitor(ref)
      Process.unlink(pid)

      Wait.until("their end", fn ->
        erlang(name, :process_info, [pid, [:links, :monitored_by, :monitors]]) ==
          [links: [], monitored_by: [], monitors: []]
      end)

      Process.exit(pid, :kill)
    end

    test "tell what waits for them", %{name: name} do
      pid = Node.spawn(name, :demo, :sleep, [60_000])
      # The first message is the call itself, for a moment.
      Wait.until("an empty mailbox", fn -> queue_len(name, pid) == 0 end)
      for i <- 1..3, do: send(pid, {:number, i})
      Wait.until("three messages", fn -> queue_len(name, pid) == 3 end)

      assert erlang(name, :process_info, [pid, :messages]) ==
               {:messages, [{:number, 1}, {:number, 2}, {:number, 3}]}

      Process.exit(pid, :kill)
    end

    test "count their work", %{name: name, echo: echo} do
      {:reductions, before} = erlang(name, :process_info, [echo, :reductions])
      for i <- 1..100, do: Wait.call(echo, i)
      {:reductions, later} = erlang(name, :process_info, [echo, :reductions])
      assert later >= before + 100
    end

    test "have every item that this node's have", %{name: name, echo: echo} do
      own = spawn(fn -> Process.sleep(:infinity) end)
      Process.register(own, String.to_atom(Cluster.unique("own")))
      keys = own |> :erlang.process_info() |> Keyword.keys()
      assert echo |> info(name) |> Keyword.keys() == keys

      for item <- keys ++ ~w(binary catchlevel current_location current_stacktrace
              garbage_collection_info last_calls max_heap_size memory message_queue_data messages
              min_heap_size monitored_by monitors sequential_trace_token trace)a do
        {^item, here} = :erlang.process_info(own, item)
        assert {^item, there} = erlang(name, :process_info, [echo, item])
        # What a process keeps there is its own matter.
        of = if item == :dictionary, do: &type/1, else: &shape/1
        assert {item, of.(here)} == {item, of.(there)}
      end

      assert {:badrpc, {:EXIT, {:badarg, _}}} = erlang(name, :process_info, [echo, :what])

      assert {:badrpc, {:EXIT, {:badarg, _}}} =
               erlang(name, :process_info, [echo, [:links, :what]])

      assert {:badrpc, {:EXIT, {:badarg, _}}} = erlang(name, :process_info, [self(), :links])
      Process.exit(own, :kill)
    end
  end

  describe "figures" do
    test "of memory add up", %{name: name} do
      memory = erlang(name, :memory, [])
      assert Keyword.keys(memory) == Keyword.keys(:erlang.memory())
      assert memory[:total] == memory[:processes] + memory[:system]
      assert memory[:total] > 1_000_000
      assert memory[:processes] > 0
      assert is_integer(erlang(name, :memory, [:total]))
      assert [code: _, ets: _] = erlang(name, :memory, [[:code, :ets]])
      assert {:badrpc, {:EXIT, {:badarg, _}}} = erlang(name, :memory, [:what])
    end

    # The tables may be of a system that this one is not: the types are the same.
    test "of the system have their types", %{name: name} do
      for item <- ~w(alloc_util_allocators atom_count atom_limit creation dirty_cpu_schedulers
              dirty_io_schedulers dist_buf_busy_limit ets_count ets_limit kernel_poll
              logical_processors logical_processors_online multi_scheduling otp_release port_count
              port_limit process_count process_limit schedulers schedulers_online smp_support
              start_time system_architecture system_version thread_pool_size threads
              time_correction version wordsize)a ++ [{:wordsize, :internal}] do
        here = :erlang.system_info(item)
        there = erlang(name, :system_info, [item])
        assert {item, type(here)} == {item, type(there)}
      end

      count = erlang(name, :system_info, [:process_count])
      assert count >= 3 and count < erlang(name, :system_info, [:process_limit])
      assert {:badrpc, {:EXIT, {:badarg, _}}} = erlang(name, :system_info, [:what])
    end

    test "of its work have their types, and grow", %{name: name} do
      for item <- ~w(context_switches exact_reductions garbage_collection io reductions run_queue
              run_queue_lengths runtime total_active_tasks total_run_queue_lengths wall_clock)a do
        here = :erlang.statistics(item)
        there = erlang(name, :statistics, [item])
        assert {item, type(here)} == {item, type(there)}
      end

      {{:input, input}, {:output, output}} = erlang(name, :statistics, [:io])
      {up, _} = erlang(name, :statistics, [:wall_clock])
      assert :rpc.call(name, :demo, :echo, [String.duplicate("x", 100_000)])

      # What is written is counted then, which its reader may see before.
      Wait.until("the bytes to be counted", fn ->
        {{:input, more_input}, {:output, more_output}} = erlang(name, :statistics, [:io])
        more_input >= input + 100_000 and more_output >= output + 100_000
      end)

      {later, since} = erlang(name, :statistics, [:wall_clock])
      assert later >= up and since >= 0
      assert {:badrpc, {:EXIT, {:badarg, _}}} = erlang(name, :statistics, [:what])
    end
  end

  describe "modules" do
    test "with functions are loaded", %{name: name} do
      assert List.keymember?(:rpc.call(name, :code, :all_loaded, []), :demo, 0)
      assert :demo in erlang(name, :loaded, [])
      assert erlang(name, :module_loaded, [:demo])
      assert {:file, _} = :rpc.call(name, :code, :is_loaded, [:demo])
      assert :rpc.call(name, :code, :ensure_loaded, [:demo]) == {:module, :demo}
      assert :rpc.call(name, :code, :which, [:no_such_module]) == :non_existing
      assert :rpc.call(name, :code, :is_loaded, [:no_such_module]) == false
      assert {:error, _} = :rpc.call(name, :code, :ensure_loaded, [:no_such_module])
      assert :rpc.call(name, Code, :ensure_loaded, [:demo]) == {:module, :demo}
      assert :rpc.call(name, Code, :ensure_loaded?, [:demo])
      refute :rpc.call(name, Code, :ensure_loaded?, [:no_such_module])
      refute erlang(name, :module_loaded, [:no_such_module])
    end

    test "tell what they export", %{name: name} do
      assert erlang(name, :function_exported, [:demo, :sum, 1])
      refute erlang(name, :function_exported, [:demo, :sum, 2])
      assert :rpc.call(name, Kernel, :function_exported?, [:demo, :sum, 1])
      refute :rpc.call(name, Kernel, :function_exported?, [:demo, :sum, 2])
      refute erlang(name, :function_exported, [:no_such_module, :sum, 1])
      exports = :rpc.call(name, :demo, :module_info, [:exports])
      assert {:sum, 1} in exports and {:module_info, 0} in exports
      assert :rpc.call(name, :demo, :module_info, [])[:exports] -- exports == []
      assert is_list(:rpc.call(name, :demo, :module_info, [:attributes]))
      assert {:badrpc, {:EXIT, {:undef, _}}} = :rpc.call(name, :no_module, :module_info, [])
    end
  end

  # As observer and etop do it.
  describe "observer_backend" do
    @describetag :observer_backend

    @tag :runtime_tools
    test "tells of the system", %{name: name} do
      info = backend(name, :sys_info, [])

      for {key, here} <- apply(:observer_backend, :sys_info, []) do
        assert {key, type(here)} == {key, type(Keyword.get(info, key))}
      end

      assert {:ok, _version} = backend(name, :vsn, [])
    end

    test "sends what it knows of all processes", %{name: name, echo: echo} do
      Process.flag(:trap_exit, true)
      pid = Node.spawn_link(name, :observer_backend, :procs_info, [self()])
      assert_receive {:procs_info, ^pid, records}
      assert_receive {:EXIT, ^pid, :normal}
      assert Enum.all?(records, &(tuple_size(&1) == 8 and elem(&1, 0) == :etop_proc_info))
      {_, ^echo, memory, reductions, :echo, _, {_, _, _}, 0} = List.keyfind(records, echo, 1)
      assert memory > 0 and reductions >= 0
      refute List.keymember?(records, pid, 1)
    end

    test "collects for etop", %{name: name, echo: echo} do
      pid = Node.spawn(name, :observer_backend, :etop_collect, [self()])
      assert_receive {^pid, info}
      assert elem(info, 0) == :etop_info
      {_, _, _} = elem(info, 1)
      records = elem(info, 8)
      assert elem(info, 2) == length(records)
      assert List.keymember?(records, echo, 1)
      assert elem(info, 7)[:total] > 0
    end

    test "lists tables, ports and sockets", %{name: name} do
      tables = backend(name, :get_table_list, [:ets, [{:sys_hidden, true}]])
      assert Enum.all?(tables, &Keyword.has_key?(&1, :name))
      ports = backend(name, :get_port_list, [])
      assert Enum.all?(ports, &Keyword.has_key?(&1, :port_id))

      assert {:error, ~c"Mnesia is not running" ++ _} =
               backend(name, :get_table_list, [:mnesia, []])

      pid = backend(name, :get_table, [self(), :no_such_table, :ets])
      assert_receive {^pid, :"$end_of_table"}
    end

    test "sends figures until it is told to stop", %{name: name} do
      pid = Node.spawn_link(name, :observer_backend, :fetch_stats, [self(), 20])
      ref = Process.monitor(pid)

      for _ <- 1..2 do
        assert_receive {:stats, 1, schedulers, {{:input, _}, {:output, _}}, memory}
        assert Enum.all?(schedulers, fn {_id, ran, total} -> ran <= total end)
        assert memory[:total] > 0
      end

      send(pid, :stop)
      assert_receive {:DOWN, ^ref, :process, ^pid, :normal}
    end

    test "stops sending when the observer is gone", %{name: name} do
      me = self()

      observer =
        spawn(fn ->
          pid = Node.spawn_link(name, :observer_backend, :fetch_stats, [me, 20])
          send(me, {:backend, pid})
          Process.sleep(:infinity)
        end)

      assert_receive {:backend, pid}
      assert_receive {:stats, 1, _, _, _}
      Process.exit(observer, :kill)
      Wait.until("the end", fn -> not erlang(name, :is_process_alive, [pid]) end)
    end
  end

  # As observer's tab of applications does it.
  describe "appmon_info" do
    @describetag :observer_backend

    test "tells which applications there are, and draws one", %{name: name} do
      {:ok, server} = appmon(name, [self(), self(), []])
      appmon_task(server, :app_ctrl, name, true)
      assert_receive {:delivery, ^server, :app_ctrl, ^name, [{top, app, {app, text, vsn}} | _]}
      assert is_pid(top) and is_list(text) and is_list(vsn)
      appmon_task(server, :app, app, true)
      assert_receive {:delivery, ^server, :app, ^app, {root, labels, links, _more}}
      assert_tree(root, for({_pid, label} <- labels, do: label), links)
      assert {top, root} in labels
      appmon_task(server, :app, :no_such_app, true)
      assert_receive {:delivery, ^server, :app, :no_such_app, {[], [], [], []}}
      stop_appmon(server)
    end

    test "ends with who has started it", %{name: name} do
      me = self()

      starter =
        spawn(fn ->
          send(me, appmon(name, [self(), self(), []]))
          Process.sleep(:infinity)
        end)

      assert_receive {:ok, server}
      ref = Process.monitor(server)
      Process.exit(starter, :kill)
      assert_receive {:DOWN, ^ref, :process, ^server, :killed}
    end

    test "wants pids", %{name: name} do
      assert {:badrpc, {:EXIT, _}} = appmon(name, [:starter, :client, []])
    end

    @tag :tenon_only
    test "draws what has come since, supervisors with their children" do
      name = start_connected_tenon().name
      {:ok, server} = appmon(name, [self(), self(), []])
      appmon_task(server, :app, :tenon, true)
      assert_receive {:delivery, ^server, :app, :tenon, {~c"net_kernel", labels, links, []}}
      assert {~c"net_kernel", ~c"rex"} in links
      assert {:rpc.call(name, :erlang, :whereis, [:echo]), ~c"echo"} in labels
      refute List.keymember?(labels, server, 0)
      {:ok, task} = Task.Supervisor.start_child({Demo.Tasks, name}, :demo, :sleep, [60_000])
      label = await_label(server, task)
      appmon_task(server, :app, :tenon, true)
      assert_receive {:delivery, ^server, :app, :tenon, {_, labels, links, []}}
      assert {task, label} in labels
      assert {~c"Elixir.Demo.Tasks", label} in links
      Process.exit(task, :kill)
      stop_appmon(server)
    end
  end

  defp appmon(name, args), do: :rpc.call(name, :appmon_info, :start_link2, args)

  defp appmon_task(server, command, aux, on?),
    do: GenServer.cast(server, {self(), command, aux, on?, []})

  # It is linked with this process. As observer ends it.
  defp stop_appmon(server) do
    Process.flag(:trap_exit, true)
    ref = Process.monitor(server)
    Process.exit(server, :normal)
    assert_receive {:DOWN, ^ref, :process, ^server, :normal}
  end

  # By itself, without being asked again.
  defp await_label(server, pid) do
    assert_receive {:delivery, ^server, :app, :tenon, {_top, labels, _links, []}}

    case List.keyfind(labels, pid, 0) do
      {^pid, label} -> label
      nil -> await_label(server, pid)
    end
  end

  # Each label once, and each but the root's below another.
  defp assert_tree(root, labels, links) do
    assert labels == Enum.uniq(labels)
    assert root in labels
    children = for {parent, child} <- links, parent in labels, do: child
    assert Enum.sort(Enum.uniq(children) -- [root]) == Enum.sort(labels -- [root])
  end

  # As LiveDashboard asks the node that was chosen in its node picker: a BEAM node is given the module
  # first, by code:load_binary.
  describe "Phoenix LiveDashboard" do
    @describetag :tenon_only

    test "finds what it would have loaded", %{name: name} do
      assert {:file, _} = :rpc.call(name, :code, :is_loaded, [Phoenix.LiveDashboard.SystemInfo])
      capabilities = dashboard(name, :capabilities_callback, [[{:application, :os_mon}]])
      assert capabilities.dashboard_running?
      assert %{applications: [], modules: [], processes: [], system_info: _} = capabilities
    end

    test "shows the home page", %{name: name} do
      info = dashboard(name, :info_callback, [["HOME"], :my_app])
      assert %{banner: banner, system_architecture: _, elixir_version: _} = info.system_info
      assert to_string(banner) =~ "Tenon"
      assert %{atoms: 1, ports: 1, processes: limit} = info.system_limits
      assert info.system_usage.processes in 1..limit
      assert info.environment == [{"HOME", nil}]
      usage = dashboard(name, :usage_callback, [])
      assert Map.keys(usage) == Map.keys(info.system_usage)
      assert %{io: {_, _}, uptime: _, total_run_queue: _, cpu_run_queue: _} = usage
      {total, parts} = Map.pop(usage.memory, :total)
      assert total == parts |> Map.values() |> Enum.sum()
      assert Enum.sort(Map.keys(parts)) == [:atom, :binary, :code, :ets, :other, :process]
    end

    test "lists processes, sorted and searched", %{name: name, echo: echo} do
      {rows, count, seen} =
        dashboard(name, :processes_callback, [nil, :memory, :desc, 1_000, nil])

      assert count == length(rows) and count == map_size(seen)
      sizes = Enum.map(rows, & &1[:memory])
      assert sizes == Enum.sort(sizes, &>=/2)
      for _ <- 1..500, do: Wait.call(echo, :hello)

      {[row], 1, %{^echo => _}} =
        dashboard(name, :processes_callback, ["echo", :reductions_diff, :desc, 50, seen])

      assert row[:pid] == echo and row[:name_or_initial_call] == ":echo"
      assert row[:reductions_diff] >= 500 and row[:reductions] >= row[:reductions_diff]
      assert {_, _, _} = row[:current_function]

      {[busiest], _, _} =
        dashboard(name, :processes_callback, [nil, :reductions_diff, :desc, 1, seen])

      assert busiest[:reductions_diff] >= 500
    end

    test "lists nothing where there is nothing", %{name: name} do
      for list <- [:ports_callback, :ets_callback, :sockets_callback] do
        assert dashboard(name, list, [nil, :name, :asc, 10]) == {[], 0}
      end

      assert {[[{:name, :tenon} | _]], 1} =
               dashboard(name, :applications_info_callback, [nil, :name, :asc, 10])
    end
  end

  defp dashboard(name, function, args),
    do: :rpc.call(name, Phoenix.LiveDashboard.SystemInfo, function, args)

  defp erlang(name, function, args), do: :rpc.call(name, :erlang, function, args)
  defp backend(name, function, args), do: :rpc.call(name, :observer_backend, function, args)
  defp info(pid, name), do: erlang(name, :process_info, [pid])

  defp queue_len(name, pid) do
    {:message_queue_len, len} = erlang(name, :process_info, [pid, :message_queue_len])
    len
  end

  defp shape([{key, _} | _] = list) when is_atom(key),
    do: for({key, value} <- list, do: {key, type(value)})

  defp shape(term), do: type(term)

  defp type(term) when is_integer(term), do: :integer
  defp type(term) when is_boolean(term), do: :boolean
  defp type(term) when is_atom(term), do: :atom
  defp type(term) when is_pid(term), do: :pid
  defp type(term) when is_list(term), do: :list
  defp type(term) when is_map(term), do: :map
  defp type(term) when is_binary(term), do: :binary
  defp type(term) when is_tuple(term), do: {:tuple, tuple_size(term)}
end
