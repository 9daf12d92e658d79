for generation <- TenonHarness.Services.generations() do
  defmodule Module.concat(TenonHarness.ServicesTest, Macro.camelize("#{generation}")) do
    use TenonHarness.NodeCase, async: true
    alias TenonHarness.Services
    alias X3m.System.Message

    @generation generation
    @services [:c_echo, :c_sum, :c_slow, :c_fail, :c_try_another, :c_calls_back, :c_digest]

    setup_all do
      [one, two] = for _ <- 1..2, do: start_offering_beam()
      assert on(one, name: two.name, do: Node.ping(name)) == :pong
      tenon = start_tenon(connect: [one.name, two.name])

      for peer <- [one, two],
          service <- @services,
          do: Services.await_providers(peer, service, [tenon.name])

      Wait.until("services of the BEAM nodes", fn ->
        response(one, tenon, :e_echo, 1) == {:ok, 1}
      end)

      {:ok, tenon: tenon, one: one, two: two}
    end

    describe "#{generation}: the registry" do
      test "on a BEAM node finds all public services and no private one", %{
        tenon: tenon,
        one: one
      } do
        for service <- @services, do: assert(Services.providers(one, service) == [tenon.name])
        assert Services.providers(one, :c_private) == []
        assert Services.outcome(one, :c_private, nil) == {:service_unavailable, :c_private}
      end

      test "in C finds the public services of BEAM nodes and no private one", %{
        tenon: tenon,
        one: one
      } do
        assert {:ok, where} = response(one, tenon, :e_where, nil)
        assert where != tenon.name
        assert response(one, tenon, :e_private, nil) == {:service_unavailable, :e_private}
        assert response(one, tenon, :e_nowhere, nil) == {:service_unavailable, :e_nowhere}
      end

      test "learns of a router that is registered later" do
        {tenon, late} = {start_tenon(), start_beam(x3m: @generation)}
        assert on(late, name: tenon.name, do: Node.ping(name)) == :pong
        Services.await_providers(late, :c_echo, [tenon.name])
        :ok = BeamNode.call(late, TenonHarness.SecondRouter, :register_services, [])

        Wait.until("e_second", fn -> response(late, tenon, :e_second, nil) == {:ok, late.name} end)

        :ok = BeamNode.call(late, TenonHarness.BeamRouter, :register_services, [])
        assert response(late, tenon, :e_second, nil) == {:ok, late.name}
      end

      test "forgets the services of a node that is killed, in both directions" do
        {tenon, peer} = {start_tenon(), start_offering_beam()}
        assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
        Services.await_providers(peer, :c_echo, [tenon.name])
        TenonNode.kill(tenon)
        Services.await_providers(peer, :c_echo, [])
        assert Services.outcome(peer, :c_echo, 1) == {:service_unavailable, :c_echo}

        again = start_tenon(name: tenon.name, connect: [peer.name])
        Services.await_providers(peer, :c_echo, [again.name])
        assert Services.outcome(peer, :c_echo, 1) == {:ok, 1}
      end

      test "in C forgets the services of a BEAM node that is killed" do
        {stays, goes} = {start_beam(x3m: @generation), start_offering_beam()}
        tenon = start_tenon(connect: [stays.name, goes.name])
        Services.await_providers(stays, :c_calls_back, [tenon.name])
        Wait.until("e_where", fn -> response(stays, tenon, :e_where, nil) == {:ok, goes.name} end)
        Program.stop(goes.program)

        Wait.until("e_where to be forgotten", fn ->
          response(stays, tenon, :e_where, nil) == {:service_unavailable, :e_where}
        end)
      end

      test "is told when a node stops in order" do
        {tenon, peer} = {start_tenon(), start_offering_beam()}
        assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
        Services.await_providers(peer, :c_echo, [tenon.name])
        Program.signal(tenon.program, :TERM)
        Services.await_providers(peer, :c_echo, [])
        assert Program.await_exit(tenon.program) == 0
      end

      test "repeats what it offers, so that a late X3m.System learns of it" do
        tenon = start_tenon()
        late = start_beam(name: Cluster.unique_node("late"))
        assert on(late, name: tenon.name, do: Node.ping(name)) == :pong
        assert on(late, name: tenon.name, do: Wait.call({:echo, name}, 1)) == 1
        {:ok, _} = on(late, [], do: Application.ensure_all_started(:x3m_system))

        # The exchange comes every 20 s.
        Wait.until("the exchange", fn ->
          Services.providers(late, :c_echo) == [tenon.name]
        end)
      end
    end

    describe "#{generation}: a dispatch to C" do
      test "is answered", %{one: one, two: two} do
        for peer <- [one, two] do
          assert Services.outcome(peer, :c_echo, %{"a" => [1, {:b, 2.5}]}) ==
                   {:ok, %{"a" => [1, {:b, 2.5}]}}

          assert Services.outcome(peer, :c_sum, %{"numbers" => [1, 2, :erlang.bsl(1, 200)]}) ==
                   {:ok, 3 + :erlang.bsl(1, 200)}

          assert Services.outcome(peer, :c_slow, %{"ms" => 1}) == {:ok, :slow_done}
        end
      end

      test "digests by OpenSSL", %{one: one} do
        data = :binary.copy(<<0, 1, 2, 3>>, 100_000)
        expected = Base.encode16(:crypto.hash(:sha256, data), case: :lower)
        assert Services.outcome(one, :c_digest, %{"data" => data}) == {:ok, expected}
      end

      test "gives the message back as it was, but for what a service sets", %{one: one} do
        opts = [assigns: %{who: {:user, 7}}, logger_metadata: [request_id: "r-1"]]

        sent =
          on(one, opts: opts, do: TenonHarness.Services.message(:c_echo, %{"id" => "x"}, opts))

        got =
          on(one, sent: sent) do
            X3m.System.Dispatcher.dispatch(%{sent | reply_to: self()})
          end

        changed = [:response, :halted?, :invoked_at, :reply_to]
        assert Map.drop(got, changed) == Map.drop(sent, changed)
        assert got.response == {:ok, %{"id" => "x"}}
        assert got.halted?
        assert got.request == nil
        assert node(got.reply_to) == one.name
        assert map_size(got) == 18
      end

      test "brings each of the responses", %{one: one} do
        for {how, response} <- [
              {"error", {:error, {:c_failed, "because"}}},
              {"ok", :ok},
              {"created", {:created, "c-1"}},
              {"version", {:ok, "payload", 3}},
              {"unauthorized", {:unauthorized, "no"}}
            ] do
          assert Services.outcome(one, :c_fail, %{"how" => how}) == response
        end

        assert Services.outcome(one, :c_sum, %{"numbers" => [1, "2"]}) ==
                 {:validation_error, %{"numbers" => "not integers"}}

        assert Services.outcome(one, :c_sum, %{}) == {:missing_id, "numbers"}
      end

      test "that fails there fails here as a BEAM provider's would", %{one: one} do
        assert {:failed, {:EXIT, {:c_raised, stack}}} =
                 Services.outcome(one, :c_fail, %{"how" => "raise"})

        assert is_list(stack)
        assert Services.outcome(one, :c_fail, %{"how" => "throw"}) == {:threw, :c_threw}
        assert Services.outcome(one, :c_fail, %{"how" => "exit"}) == {:failed, {:EXIT, :c_exited}}
      end

      test "that is never answered times out", %{one: one} do
        assert {:service_timeout, :c_fail, id, 100} =
                 Services.outcome(one, :c_fail, %{"how" => "noreply"}, timeout: 100)

        assert is_binary(id)
        assert Services.outcome(one, :c_echo, 1) == {:ok, 1}
      end

      test "that is slow does not hold up others", %{one: one} do
        {others, slow} =
          on one, ms: 10 * @timeout do
            slow =
              for _ <- 1..10 do
                Task.async(fn ->
                  opts = [timeout: :infinity]
                  TenonHarness.Services.outcome_here(:c_slow, %{"ms" => ms}, opts)
                end)
              end

            others = for n <- 1..20, do: TenonHarness.Services.outcome_here(:c_echo, n, [])
            {others, Enum.map(slow, &Task.shutdown(&1, :brutal_kill))}
          end

        assert others == Enum.map(1..20, &{:ok, &1})
        assert slow == List.duplicate(nil, 10)
      end

      test "is refused by authorize with the term that was given", %{one: one} do
        assert Services.outcome(one, :c_echo, 1, assigns: %{deny: :forbidden}) ==
                 {:error, :forbidden}

        reason = {:forbidden, "None shall pass!"}
        assert Services.outcome(one, :c_echo, 1, assigns: %{deny: reason}) == {:error, reason}

        assert Services.outcome(one, :c_fail, %{"how" => "raise"}, assigns: %{deny: 1}) ==
                 {:error, 1}
      end

      test "can be asked about beforehand", %{one: one} do
        assert Services.authorized?(one, :c_echo) == true
        assert Services.authorized?(one, :c_echo, assigns: %{deny: :forbidden}) == false
        assert Services.authorized?(one, :c_nowhere) == :service_unavailable
      end

      test "carries events only when they are asked for", %{one: one} do
        assert Services.dispatch(one, :c_echo, %{"event" => {:happened, 1}}).events == []
        verbose = Services.dispatch(one, :c_echo, %{"event" => {:happened, 1}}, dry_run: :verbose)
        assert verbose.events == [{:happened, 1}]
        assert verbose.dry_run == :verbose
        dry = on(one, [], do: X3m.System.Dispatcher.validate(X3m.System.Message.new(:c_echo)))
        assert %Message{dry_run: true, response: {:ok, nil}} = dry
      end

      test "moves on to another node when this one says so", %{tenon: tenon} do
        {peer, busy} = {start_beam(x3m: @generation), start_beam(x3m: @generation)}
        :ok = BeamNode.call(busy, TenonHarness.BusyRouter, :register_services, [])
        assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
        Services.await_providers(peer, :c_echo, [tenon.name])

        assert Services.outcome(peer, :c_try_another, nil) ==
                 {:error, {:try_another_node, :c_busy}}

        assert on(peer, name: busy.name, do: Node.ping(name)) == :pong
        Services.await_providers(peer, :c_try_another, Enum.sort([tenon.name, busy.name]))

        for _ <- 1..10 do
          allowed = [
            {:ok, busy.name}
            | if(moves_on?(peer), do: [], else: [{:error, {:try_another_node, :c_busy}}])
          ]

          assert Services.outcome(peer, :c_try_another, nil) in allowed
        end
      end

      test "is not lost on a private service called by its name", %{tenon: tenon, one: one} do
        response =
          on one, name: tenon.name do
            message = X3m.System.Message.new(:c_private)

            case :rpc.call(name, Demo.Router, :c_private, [message]) do
              :ok -> receive do: (%X3m.System.Message{response: response} -> {:ok, response})
              refused -> refused
            end
          end

        case response do
          {:ok, {:ok, :from_c_private}} -> :served
          {:badrpc, {:EXIT, {:undef, [{Demo.Router, :c_private, [_], []} | _]}}} -> :refused
        end
      end

      test "to a function that the router lacks is undefined", %{tenon: tenon, one: one} do
        result = on(one, name: tenon.name, do: :rpc.call(name, Demo.Router, :c_nothing, [1]))
        assert {:badrpc, {:EXIT, {:undef, [{Demo.Router, :c_nothing, [1], []} | _]}}} = result
      end

      test "with a message that is none fails, and harms nobody", %{tenon: tenon, one: one} do
        for junk <- [
              :junk,
              %{},
              %{__struct__: Message},
              %{__struct__: Message, service_name: :c_echo},
              []
            ] do
          result =
            on(one,
              name: tenon.name,
              junk: junk,
              do: :rpc.call(name, Demo.Router, :c_echo, [junk])
            )

          assert {:badrpc, {:EXIT, _reason}} = result
        end

        assert Services.outcome(one, :c_echo, :fine) == {:ok, :fine}
      end

      test "comes with many others at once", %{one: one} do
        answers =
          on one, [] do
            1..200
            |> Enum.map(fn n ->
              Task.async(fn ->
                TenonHarness.Services.outcome_here(:c_sum, %{"numbers" => [n, n]}, [])
              end)
            end)
            |> Enum.map(&Wait.await(&1))
          end

        assert answers == Enum.map(1..200, &{:ok, 2 * &1})
      end
    end

    describe "#{generation}: a forwarded call" do
      test "is served in C and answered to the caller", %{tenon: tenon, one: one, two: two} do
        :ok = BeamNode.call(one, TenonHarness.ForwardRouter, :register_services, [])
        Services.await_providers(two, :f_echo, [one.name])
        assigns = %{forward_to: tenon.name}
        assert Services.outcome(two, :f_echo, %{"n" => 1}, assigns: assigns) == {:ok, %{"n" => 1}}
        assert Services.outcome(one, :f_echo, %{"n" => 2}, assigns: assigns) == {:ok, %{"n" => 2}}
      end
    end

    describe "#{generation}: a dispatch from C" do
      test "reaches a BEAM service and brings its response", %{tenon: tenon, one: one} do
        assert response(one, tenon, :e_echo, %{"x" => 1}) == {:ok, %{"x" => 1}}
        assert response(one, tenon, :e_fail, %{"how" => "created"}) == {:created, "c-1"}

        assert response(one, tenon, :e_fail, %{"how" => "error"}) ==
                 {:error, {:c_failed, "because"}}

        assert response(one, tenon, :e_slow, %{"ms" => 20}) == {:ok, :slow_done}
        assert response(one, tenon, :e_later, %{"ms" => 20}) == {:ok, :later}
      end

      test "reaches a service of its own node first", %{tenon: tenon, one: one} do
        assert response(one, tenon, :c_sum, %{"numbers" => [1, 2]}) == {:ok, 3}
        assert response(one, tenon, :c_private, nil) == {:ok, :from_c_private}
      end

      test "carries the ids of the message that caused it", %{tenon: tenon, one: one} do
        message =
          Services.dispatch(
            one,
            :c_calls_back,
            %{"service" => :e_seen, "raw_request" => %{"k" => 1}},
            correlation_id: "the-conversation",
            causation_id: "what-caused-it",
            assigns: %{not_passed_on: true}
          )

        assert {:ok, inner} = message.response
        assert {:ok, seen} = inner["response"]
        assert seen.correlation_id == "the-conversation"
        assert seen.causation_id == message.id
        assert seen.id == inner["id"]
        assert seen.id != message.id
        assert inner["correlation_id"] == "the-conversation"
        assert inner["causation_id"] == message.id
        assert inner["halted"] == true
        assert inner["request"] == nil
        assert inner["events"] == []
        assert seen.raw_request == %{"k" => 1}
        assert seen.assigns == %{}
        assert seen.dry_run == false
        assert seen.service_name == :e_seen
        assert seen.origin_node == tenon.name
        assert seen.reply_to_node == tenon.name
        assert seen.halted? == false
        assert seen.keys == :e_seen |> Message.new() |> Map.keys() |> Enum.sort()
        assert byte_size(seen.id) == 20
        assert {:ok, <<_::120>>} = Base.url_decode64(seen.id)
        assert %DateTime{time_zone: "Etc/UTC"} = seen.invoked_at
        assert abs(DateTime.diff(DateTime.utc_now(), seen.invoked_at)) < 60
      end

      test "carries assigns, dry_run and events", %{tenon: tenon, one: one} do
        {:ok, inner} =
          called_back(one, tenon, :e_seen, nil, %{"assigns" => %{a: 1}, "dry_run" => true})

        assert {:ok, %{assigns: %{a: 1}, dry_run: true}} = inner["response"]
        verbose = %{"dry_run" => :verbose}
        {:ok, inner} = called_back(one, tenon, :e_echo, %{"event" => :e1}, verbose)
        assert inner["events"] == [:e1]
        {:ok, inner} = called_back(one, tenon, :e_echo, 1, %{"assigns" => %{deny: :not_you}})
        assert inner["response"] == {:error, :not_you}
      end

      test "times out with its own limit", %{tenon: tenon, one: one} do
        {:ok, inner} =
          called_back(one, tenon, :e_fail, %{"how" => "noreply"}, %{"timeout" => 100})

        assert {:service_timeout, :e_fail, id, 100} = inner["response"]
        assert id == inner["id"]
        {:ok, inner} = called_back(one, tenon, :e_keep, nil, %{"timeout" => 50})
        assert {:service_timeout, :e_keep, _id, 50} = inner["response"]

        # What comes too late disturbs nobody. One of the two has kept the message.
        Wait.until("the late answer", fn ->
          response(one, tenon, :e_answer, :late) == {:ok, true}
        end)

        assert response(one, tenon, :e_slow, %{"ms" => 1}) == {:ok, :slow_done}
      end

      @tag :erpc_caller
      test "to a service that fails brings the failure", %{tenon: tenon, one: one} do
        assert {:error, {:badrpc, {:EXIT, {:c_raised, stack}}}} =
                 response(one, tenon, :e_fail, %{"how" => "raise"})

        assert is_list(stack)

        assert response(one, tenon, :e_fail, %{"how" => "throw"}) ==
                 {:error, {:badrpc, {:throw, :c_threw}}}

        assert response(one, tenon, :e_fail, %{"how" => "exit"}) ==
                 {:error, {:badrpc, {:EXIT, :c_exited}}}
      end

      test "reaches both BEAM nodes in the long run", %{tenon: tenon, one: one, two: two} do
        seen = for _ <- 1..40, do: response(one, tenon, :e_where, nil)
        assert Enum.sort(Enum.uniq(seen)) == Enum.sort([{:ok, one.name}, {:ok, two.name}])
      end

      test "is made by many handlers at once", %{one: one} do
        answers =
          on one, timeout: @timeout do
            raw = %{"service" => :e_slow, "raw_request" => %{"ms" => 100}, "timeout" => timeout}

            1..40
            |> Enum.map(fn _ ->
              Task.async(fn -> TenonHarness.Services.outcome_here(:c_calls_back, raw, []) end)
            end)
            |> Enum.map(&Wait.await(&1))
          end

        assert Enum.map(answers, fn {:ok, inner} -> inner["response"] end) ==
                 List.duplicate({:ok, :slow_done}, 40)
      end
    end

    defp start_offering_beam do
      peer = start_beam(x3m: @generation)
      :ok = BeamNode.call(peer, TenonHarness.BeamRouter, :register_services, [])
      peer
    end

    # The response that C gets when a BEAM node asks it to call a service.
    defp response(peer, tenon, service, raw_request) do
      {:ok, inner} = called_back(peer, tenon, service, raw_request, %{})
      inner["response"]
    end

    defp called_back(peer, _tenon, service, raw_request, more) do
      raw = %{"service" => service, "raw_request" => raw_request, "timeout" => @timeout}
      Services.outcome(peer, :c_calls_back, Map.merge(raw, more), timeout: 2 * @timeout)
    end

    # Whether the dispatcher of this generation tries further nodes: 0.9.0 keeps the bare refusal.
    defp moves_on?(peer) do
      match?(
        {:error, {:no_nodes_available, _}},
        on(peer, [], do: TenonHarness.Services.dispatch_here(:c_try_another, nil, []).response)
      )
    end
  end
end
