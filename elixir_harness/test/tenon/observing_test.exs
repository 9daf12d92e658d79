# What can be seen of services in C: telemetry by hooks in C, metrics, log lines. The stand-in for
# X3m.System executes no telemetry, and a BEAM has no :tenon, so that there is nothing to compare with.
for generation <- TenonHarness.Services.generations() do
  defmodule Module.concat(TenonHarness.ObservingTest, Macro.camelize("#{generation}")) do
    use TenonHarness.NodeCase, async: true
    alias TenonHarness.Services

    @moduletag :tenon_only
    @generation generation

    setup_all do
      beam = start_beam(x3m: @generation)
      :ok = BeamNode.call(beam, TenonHarness.BeamRouter, :register_services, [])
      tenon = start_tenon(connect: [beam.name], probe: true)
      :pong = Node.ping(tenon.name)
      await_e_echo(tenon, beam)
      {:ok, beam: beam, tenon: tenon}
    end

    # What is counted and told of one test may come while the next one runs: so nothing else uses this.
    defp register_own(%{beam: beam, tenon: tenon}) do
      service = Cluster.unique("o_do")
      {:OK, [:OK]} = probe(tenon, :register, ["Elixir.Router.#{service}", [{service, true}]])
      service = String.to_atom(service)
      Services.await_providers(beam, service, [tenon.name])
      {:ok, service: service}
    end

    defp start_own(%{beam: beam}) do
      tenon = start_tenon(connect: [beam.name], probe: true)
      :pong = Node.ping(tenon.name)
      await_e_echo(tenon, beam)
      {:ok, tenon: tenon}
    end

    defp await_e_echo(tenon, beam) do
      Wait.until("e_echo", fn ->
        probe(tenon, :providers, [[:e_echo]]) == %{
          e_echo: [{beam.name, TenonHarness.BeamRouter}]
        }
      end)
    end

    defp probe(tenon, function, args), do: :rpc.call(tenon.name, :probe, function, args)

    defp watch(tenon), do: assert(probe(tenon, :watch, [self()]) == :OK)

    defp dispatch(tenon, service, raw_request) do
      message = Services.message(service, raw_request, [])
      probe(tenon, :dispatch, [%{message | reply_to: self()}, @timeout]).response
    end

    # The next event of that name, with its measurements checked.
    defp event(name, measured) do
      assert_receive {:telemetry, ^name, measurements, metadata}, @timeout

      case measured do
        :nothing ->
          assert measurements == %{}

        :start ->
          assert %{start: %DateTime{}, mono_start: mono_start} = measurements
          assert is_integer(mono_start)
          assert map_size(measurements) == 2

        :end ->
          assert %{time: %DateTime{}, duration: duration} = measurements
          assert duration >= 0
          assert map_size(measurements) == 2
      end

      metadata
    end

    describe "#{generation}: telemetry" do
      setup [:start_own, :register_own]

      test "tells the provider's events of a call from Elixir", context do
        %{beam: beam, tenon: tenon, service: service} = context
        watch(tenon)
        assert Services.dispatch(beam, service, {%{}, :ok, 7}).response == {:ok, 7}

        assert event(:service_request_received, :nothing) ==
                 %{service: service, visibility: :public, origin_node: beam.name}

        assert event(:executing_service, :start) == %{service: service, node: tenon.name}
        assert %{message: reply} = event(:execution_finished, :end)
        assert {reply.__struct__, reply.response} == {X3m.System.Message, {:ok, 7}}
        refute_received {:telemetry, _name, _measurements, _metadata}
      end

      test "tells the caller's events of a call to Elixir", %{beam: beam, tenon: tenon} do
        watch(tenon)
        assert dispatch(tenon, :e_echo, 1) == {:ok, 1}

        assert %{message: message, caller_node: caller} = event(:discovering_service, :start)
        assert {message.service_name, caller} == {:e_echo, tenon.name}

        for {name, measured} <- [service_found: :end, invoking_service: :start] do
          assert %{caller_node: ^caller, service_node: node, message: sent} =
                   event(name, measured)

          assert {node, sent.id, sent.response} == {beam.name, message.id, nil}
        end

        assert %{caller_node: ^caller, service_node: node, message: result} =
                 event(:service_responded, :end)

        assert {node, result.id, result.response} == {beam.name, message.id, {:ok, 1}}
        refute_received {:telemetry, _name, _measurements, _metadata}
      end

      test "tells that nobody offers a service", %{tenon: tenon} do
        watch(tenon)
        assert dispatch(tenon, :o_nowhere, 1) == {:service_unavailable, :o_nowhere}
        assert %{message: _} = event(:discovering_service, :start)
        assert %{caller_node: caller, message: message} = event(:service_not_found, :end)
        assert {caller, message.service_name} == {tenon.name, :o_nowhere}
      end

      test "tells of a check of authorization", %{tenon: tenon} do
        watch(tenon)
        message = %{Services.message(:e_echo, 1, []) | reply_to: self()}
        assert probe(tenon, :authorized, [message, :default]) == true
        assert %{message: asked} = event(:checking_if_service_call_is_authorized, :start)
        assert asked.id == message.id
      end

      test "tells of nodes that come and go, and of services that are registered", %{tenon: tenon} do
        watch(tenon)
        other = start_beam()
        assert on(other, name: tenon.name, do: Node.ping(name)) == :pong
        assert event(:node_joined, :nothing) == %{node: other.name}
        Program.stop(other.program)
        assert event(:node_left, :nothing) == %{node: other.name}

        router = "Elixir.Observed.Router#{System.unique_integer([:positive])}"
        services = [{"#{router}.open", true}, {"#{router}.closed", false}]
        assert {:OK, [:OK, :OK]} = probe(tenon, :register, [router, services])

        assert event(:register_local_services, :nothing) == %{
                 public: %{:"#{router}.open" => String.to_atom(router)},
                 private: %{:"#{router}.closed" => String.to_atom(router)}
               }
      end
    end

    describe "#{generation}: metrics" do
      setup :register_own

      test "count what is served, by outcome", context do
        %{beam: beam, tenon: tenon, service: service} = context
        for n <- 1..3, do: assert(Services.outcome(beam, service, {%{}, :ok, n}) == {:ok, n})
        assert {:failed, _reason} = Services.outcome(beam, service, {%{}, :raise, :oops})

        assert {:error, :no} =
                 Services.outcome(beam, service, {%{}, :ok, 1}, assigns: %{deny: :no})

        # A reply may be here before it is counted.
        counted =
          Wait.until("the counts", fn ->
            now = Map.fetch!(metrics(tenon).services, service)
            if {now.refused, now.failed, now.latency.count} == {1, 1, 3}, do: now
          end)

        assert %{calls: 5, forwarded: 0, latency: latency} = counted
        assert Enum.sum(Enum.map(latency.buckets, fn {_bound, n} -> n end)) == latency.count
        assert {:infinity, _} = List.last(latency.buckets)
        assert [{1, _}, {2, _}, {5, _}, {10, _} | _] = latency.buckets
        assert latency.max_us <= latency.sum_us
      end

      test "count what is dispatched, by outcome", %{tenon: tenon} do
        assert dispatch(tenon, :e_echo, 1) == {:ok, 1}
        assert {:service_unavailable, _} = dispatch(tenon, :o_unoffered, 1)
        assert %{e_echo: echo, o_unoffered: unoffered} = metrics(tenon).dispatches
        assert echo.calls >= 1 and echo.latency.count >= 1
        assert %{calls: 1, unavailable: 1, latency: %{count: 0}} = unoffered
      end

      test "count what the node does", %{tenon: tenon} do
        %{node: before} = metrics(tenon)

        # An answer is counted when it has been written, which its reader may see before.
        Wait.until("frames and bytes to be counted", @timeout, fn ->
          %{node: now} = metrics(tenon)
          now.frames_in > before.frames_in and now.bytes_out > before.bytes_out
        end)

        assert before.peers >= 2
      end

      defp metrics(tenon), do: :rpc.call(tenon.name, :tenon, :metrics, [])
    end

    describe "#{generation}: log lines of handlers" do
      setup %{tenon: tenon} do
        router = "Elixir.Logging.Router#{System.unique_integer([:positive])}"
        service = "log#{System.unique_integer([:positive])}"
        {:OK, [:OK]} = probe(tenon, :register, [router, [{service, true}]])
        {:ok, router: router, service: String.to_atom(service), text: "line of #{router}"}
      end

      test "stay on the C node, with the metadata", context do
        %{beam: beam, tenon: tenon, service: service, text: text} = context
        Services.await_providers(beam, service, [tenon.name])
        assert written_after(beam, service, text, fn _ -> logged(tenon, text) end) == ""
        assert %{"level" => "warn", "deed" => "log"} = event = logged(tenon, text)
        assert event["service"] == Atom.to_string(service)
        [line] = for line <- Program.lines(tenon.program), line =~ text, do: line
        assert line =~ ~S(meta.request_id="\"r-1\"" meta.user="{:id, 7}")
      end

      test "go to the caller's group leader when the router says so", context do
        %{beam: beam, tenon: tenon, service: service, text: text, router: router} = context
        assert probe(tenon, :ensure_local_logging, [router, false]) == :OK
        Services.await_providers(beam, service, [tenon.name])
        written = written_after(beam, service, text, fn written -> written =~ text end)

        assert written =~
                 ~r/^\d\d:\d\d:\d\d\.\d\d\d request_id="r-1" user=\{:id, 7\} deed=log \[warning\] #{text}\n$/

        assert logged(tenon, text) == nil
      end

      test "of Elixir come to the C node that calls, when their router says so", context do
        %{tenon: tenon, text: text} = context
        # One of 0.9.0 tells those who connect later only of its last router.
        beam = start_beam(x3m: @generation)
        :ok = BeamNode.call(beam, TenonHarness.LoudRouter, :register_services, [])
        assert on(beam, name: tenon.name, do: Node.ping(name)) == :pong

        Wait.until("e_loud", fn ->
          dispatch(tenon, :e_loud, text) == {:ok, :logged}
        end)

        event = TenonNode.await_event(tenon, "remote_log", text: text)
        assert event["level"] == "error"
        assert event["by"] =~ ~r/^#PID<#{Regex.escape(to_string(beam.name))}\./
      end

      defp logged(tenon, text) do
        tenon |> TenonNode.events("log") |> Enum.find(&(&1["text"] == text))
      end

      # What the caller's session has printed once `enough?` is true of it.
      defp written_after(beam, service, text, enough?) do
        {:ok, session} = StringIO.open("")
        opts = [logger_metadata: [request_id: "r-1", user: {:id, 7}]]
        args = [session, service, {%{}, :log, text}, opts]
        assert BeamNode.call(beam, Services, :dispatch_in_session, args).response == :ok

        Wait.until("the line", fn ->
          {_input, written} = StringIO.contents(session)
          if enough?.(written), do: {:written, written}
        end)
        |> elem(1)
      end
    end
  end
end
