for generation <- TenonHarness.Services.generations() do
  defmodule Module.concat(TenonHarness.SchedulerTest, Macro.camelize("#{generation}")) do
    use TenonHarness.NodeCase, async: true
    alias TenonHarness.{BeamScheduler, Services}
    alias X3m.System.Message

    @moduletag :tenon_only
    @generation generation

    setup_all do
      peer = start_beam(x3m: @generation)
      :ok = BeamNode.call(peer, TenonHarness.ToldRouter, :register_services, [])
      tenon = start_with(alarms_file(), connect: [peer.name])
      Services.await_providers(peer, :c_echo, [tenon.name])
      {:ok, peer: peer, tenon: tenon}
    end

    describe "#{generation}: a message scheduled in C" do
      test "comes to an Elixir service after a delay", %{tenon: tenon} do
        before = DateTime.utc_now()
        {:ok, id} = schedule(tenon, :r_told, %{"n" => 1}, {:in, 50})
        told = await_told()
        assert told.id == id
        assert told.raw_request["n"] == 1
        assert %{dispatch_attempts: 1, dispatch_at: %DateTime{} = at} = told.assigns
        assert DateTime.diff(at, before, :millisecond) >= 50
        assert DateTime.compare(DateTime.utc_now(), at) != :lt
        assert told.origin_node == tenon.name
        refute Map.has_key?(told.assigns, :late?)
      end

      test "comes to an Elixir service at its time", %{tenon: tenon} do
        at = DateTime.add(DateTime.utc_now(), 300, :millisecond)
        {:ok, _id} = schedule(tenon, :r_told, %{}, {:at, DateTime.to_unix(at, :microsecond)})
        in_time? = DateTime.compare(DateTime.utc_now(), at) == :lt
        told = await_told()
        assert DateTime.compare(DateTime.utc_now(), at) != :lt
        assert Map.delete(told.assigns, :late?) == %{dispatch_at: at, dispatch_attempts: 1}
        refute in_time? and Map.has_key?(told.assigns, :late?)
      end

      test "for a past time comes at once and is late", %{tenon: tenon} do
        at = DateTime.add(DateTime.utc_now(), -3_600, :second)
        {:ok, _id} = schedule(tenon, :r_told, %{}, {:at, DateTime.to_unix(at, :microsecond)})
        assert await_told().assigns == %{dispatch_at: at, dispatch_attempts: 1, late?: true}
      end

      test "comes to a C service as well", %{tenon: tenon} do
        inner = %{"service" => :r_told, "raw_request" => request(%{"via" => "C"})}
        {:ok, id} = schedule(tenon, :c_calls_back, inner, {:in, 1})
        told = await_told()
        assert told.raw_request["via"] == "C"
        assert told.causation_id == id
      end

      test "is cancelled", %{tenon: tenon} do
        {:ok, id} = schedule(tenon, :r_told, %{"n" => 1}, {:in, 3_600_000})
        assert call(tenon, :cancel, [id]) == :ok
        assert call(tenon, :cancel, [id]) == {:error, "no alarm has that id"}
      end

      test "comes after the node was killed and is back, unless it was done", %{peer: peer} do
        file = alarms_file()
        tenon = start_with(file, connect: [peer.name])
        {:ok, _done} = schedule(tenon, :r_told, %{"n" => "done"}, {:in, 0})
        assert await_told().raw_request["n"] == "done"
        unanswered = %{"n" => "kept", "answer" => {:service_unavailable, :r_told}}
        {:ok, id} = schedule(tenon, :r_told, unanswered, {:in, 0})
        assert await_told().id == id
        await_counts(tenon, "a delivery and a retry", &match?({1, 1, n} when n > 0, &1))
        TenonNode.kill(tenon)

        again = start_with(file, name: tenon.name, connect: [peer.name])
        told = await_told()
        assert {told.id, told.raw_request["n"]} == {id, "kept"}
        assert told.assigns.dispatch_attempts >= 2
        assert call(again, :cancel, [id]) == :ok
        {:ok, _id} = schedule(again, :r_told, %{"n" => "last"}, {:in, 0})
        assert_receive {:told, %Message{raw_request: %{"n" => "last"}}}
        refute_received {:told, %Message{raw_request: %{"n" => "done"}}}
      end
    end

    describe "#{generation}: what a service is given" do
      # Started without a link: whoever asks for it is gone afterwards.
      setup do
        beam = start_beam(x3m: @generation)
        {:ok, _pid} = on(beam, [], do: GenServer.start(BeamScheduler, [], name: BeamScheduler))
        {:ok, beam: beam}
      end

      test "by C is what the library's scheduler gives, term by term", context do
        %{tenon: tenon, beam: beam, peer: peer} = context
        late = DateTime.to_unix(~U[2026-01-01 00:00:00.000001Z], :microsecond)
        assert on(beam, name: peer.name, do: Node.ping(name)) == :pong
        Services.await_providers(beam, :r_told, [peer.name])

        for time <- [{:in, 0}, {:in, 20}, {:at, late}] do
          {:ok, id} = schedule(tenon, :r_told, %{"from" => "either"}, time)
          by_c = await_told(id)
          arguments = [:r_told, request(%{"from" => "either"}), time]
          {:ok, id} = BeamNode.call(beam, BeamScheduler, :schedule, arguments)
          assert comparable(await_told(id), time) == comparable(by_c, time)
        end
      end

      test "when it comes late is what the library's scheduler gives as well", %{beam: beam} do
        tenon = start_with(alarms_file(), [])
        {:ok, by_c} = schedule(tenon, :r_late, %{}, {:in, 0})

        {:ok, by_beam} =
          BeamNode.call(beam, BeamScheduler, :schedule, [:r_late, request(%{}), {:in, 0}])

        await_counts(tenon, "a retry", &(elem(&1, 2) > 0))
        assert_receive {:retried, :r_late}
        late = start_beam(x3m: @generation)
        :ok = BeamNode.call(late, TenonHarness.LateRouter, :register_services, [])

        for name <- [tenon.name, beam.name],
            do: assert(on(late, name: name, do: Node.ping(name)) == :pong)

        [one, other] = for id <- [by_c, by_beam], do: comparable(await_told(id), {:in, 0})
        assert one == other
        assert one.assigns.dispatch_attempts > 1
      end
    end

    describe "#{generation}: a message whose service is not there yet" do
      test "is tried until the service comes", %{peer: peer} do
        tenon = start_with(alarms_file(), [])
        {:ok, id} = schedule(tenon, :r_told, %{}, {:in, 0})
        await_counts(tenon, "a retry", &(elem(&1, 2) > 0))
        assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
        told = await_told()
        assert told.id == id
        assert told.assigns.dispatch_attempts >= 2
        assert {told.halted?, told.response} == {false, nil}
      end
    end

    # Without what differs from message to message. A delay's end differs, but not its form; how often
    # was tried meanwhile depends on who was faster.
    defp comparable(%Message{assigns: assigns} = message, time) do
      assert %DateTime{time_zone: "Etc/UTC", microsecond: {_, 6}} = assigns.dispatch_at

      assigns =
        if match?({:in, _}, time),
          do: %{
            assigns
            | dispatch_at: :soon,
              dispatch_attempts: min(assigns.dispatch_attempts, 2)
          },
          else: assigns

      assert message.correlation_id == message.id and message.causation_id == message.id
      differs = [:id, :correlation_id, :causation_id, :invoked_at, :reply_to, :origin_node]
      message |> Map.drop(differs) |> Map.put(:assigns, assigns)
    end

    # In a folder that goes with the test.
    defp alarms_file do
      name = "alarms_#{:os.getpid()}_#{:erlang.unique_integer([:positive])}"
      dir = Path.join(System.tmp_dir!(), name)
      File.mkdir_p!(dir)
      on_exit(fn -> File.rm_rf!(dir) end)
      Path.join(dir, "alarms.db")
    end

    defp start_with(file, opts) do
      args = ["--alarms", file, "--load", reminder_so()]
      start_tenon([args: args] ++ opts)
    end

    defp reminder_so, do: Path.join(Path.dirname(TenonNode.demo_so()), "reminder.so")

    defp call(tenon, function, args), do: :rpc.call(tenon.name, :reminder, function, args)

    defp schedule(tenon, service, raw_request, time),
      do: call(tenon, :schedule, [service, request(raw_request), time])

    defp request(raw_request), do: Map.put_new(raw_request, "tell", self())

    # {in memory, delivered, retried}
    defp await_counts(tenon, what, match?),
      do: Wait.until(what, fn -> match?.(call(tenon, :counts, [])) end)

    defp await_told do
      assert_receive {:told, %Message{} = message}
      message
    end

    # One that took too long to answer comes again.
    defp await_told(id) do
      assert_receive {:told, %Message{id: ^id} = message}
      message
    end
  end
end

defmodule TenonHarness.SchedulerFileTest do
  use TenonHarness.NodeCase, async: true

  @moduletag :tenon_only

  setup_all do
    dir = Path.join(System.tmp_dir!(), "alarms_#{:os.getpid()}_files")
    File.mkdir_p!(dir)
    on_exit(fn -> File.rm_rf!(dir) end)
    {:ok, dir: dir}
  end

  test "the alarms of a running node are not another node's", %{dir: dir} do
    file = Path.join(dir, "alarms.db")
    start_tenon(args: ["--alarms", file])
    assert {output, 1} = run(file)
    assert output =~ "alarm store \"#{file}\": it is in use"
  end

  test "a file of something else is refused and left as it is", %{dir: dir} do
    file = Path.join(dir, "notes.txt")
    File.write!(file, String.duplicate("not an alarm in sight\n", 100))
    before = File.read!(file)
    assert {output, 1} = run(file)
    assert output =~ "expected an SQLite file, got another one"
    assert File.read!(file) == before
  end

  test "handlers that need alarms say so" do
    so = Path.join(Path.dirname(TenonNode.demo_so()), "reminder.so")
    assert {output, 1} = TenonNode.command(run_args() ++ ["--load", so])
    assert output =~ "expected a scheduler, start with --alarms FILE"
  end

  defp run(file), do: TenonNode.command(run_args() ++ ["--alarms", file])
  defp run_args, do: TenonNode.run_args(Cluster.unique_node("c"), load: false)
end
