for generation <- TenonHarness.Services.generations() do
  defmodule Module.concat(TenonHarness.ServingTest, Macro.camelize("#{generation}")) do
    use TenonHarness.NodeCase, async: true
    alias TenonHarness.Services
    alias X3m.System.Message

    @generation generation

    setup_all do
      [one, two] = for _ <- 1..2, do: start_beam(x3m: @generation)
      assert on(one, name: two.name, do: Node.ping(name)) == :pong
      other = start_tenon(connect: [one.name, two.name])
      tenon = start_tenon(connect: [one.name, two.name, other.name])
      :ok = BeamNode.call(one, TenonHarness.ForwardRouter, :register_services, [])

      for peer <- [one, two] do
        Services.await_providers(peer, :c_where, Enum.sort([tenon.name, other.name]))
      end

      Services.await_providers(two, :f_where, [one.name])
      Wait.until("f_where", fn -> match?({:ok, _}, from_c(one, tenon, :f_where, %{})) end)
      {:ok, tenon: tenon, other: other, one: one, two: two}
    end

    describe "#{generation}: a router in C" do
      test "tells its services, in order, private ones first", %{tenon: tenon, one: one} do
        for visibility <- [:public, :private, :all] do
          told =
            BeamNode.call(one, :rpc, :call, [
              tenon.name,
              Demo.Router,
              :registered_services,
              [visibility]
            ])

          assert told == Demo.Router.registered_services(visibility)
        end

        all = BeamNode.call(one, :rpc, :call, [tenon.name, Demo.Router, :registered_services, []])
        assert all == Demo.Router.registered_services()

        assert {:badrpc, {:EXIT, {:function_clause, _stack}}} =
                 BeamNode.call(one, :rpc, :call, [
                   tenon.name,
                   Demo.Router,
                   :registered_services,
                   [:none]
                 ])
      end

      test "runs the function that a service names", %{tenon: tenon, one: one} do
        assert %Message{service_name: :c_renamed, response: {:ok, where}} =
                 Services.direct(one, tenon.name, :c_renamed, nil)

        assert where == tenon.name
      end

      test "is one of several, which are announced when they come, each with its own rules" do
        {peer, tenon} = {start_beam(x3m: @generation), start_tenon()}
        assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
        Services.await_providers(peer, :c_where, [tenon.name])
        assert Services.outcome(peer, :c_late, nil) == {:service_unavailable, :c_late}
        assert BeamNode.call(peer, :rpc, :call, [tenon.name, :demo, :offer_late, []]) == :ok
        Services.await_providers(peer, :c_late, [tenon.name])
        deny = [assigns: %{deny: :not_you}]
        assert Services.outcome(peer, :c_late, nil, deny) == {:ok, tenon.name}
        assert Services.outcome(peer, :c_where, nil, deny) == {:error, :not_you}
        assert Services.authorized?(peer, :c_late, deny) == true
        assert Services.authorized?(peer, :c_where, deny) == false
        assert Services.outcome(peer, :c_where, nil) == {:ok, tenon.name}
      end

      # Of a BEAM router the services are known when it is compiled.
      @tag :tenon_only
      test "may get services later, which are announced at once, and not the private ones" do
        {peer, tenon} = {start_beam(x3m: @generation), start_tenon(probe: true)}
        assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong

        for {service, public?, providers} <- [
              {:first, true, [tenon.name]},
              {:hidden, false, []},
              {:second, true, [tenon.name]}
            ] do
          args = [tenon.name, :probe, :register, ["Elixir.Growing", [{"#{service}", public?}]]]
          assert BeamNode.call(peer, :rpc, :call, args) == {:OK, [:OK]}
          Services.await_providers(peer, service, providers)
        end

        assert Services.providers(peer, :first) == [tenon.name]
        assert Services.providers(peer, :hidden) == []
        args = [tenon.name, Growing, :registered_services, []]
        assert BeamNode.call(peer, :rpc, :call, args) == [hidden: 1, first: 1, second: 1]
        raw = {%{}, :ok, 7}
        assert Services.outcome(peer, :second, raw) == {:ok, 7}
        hidden = Services.direct(peer, tenon.name, :hidden, raw, router: Growing)
        assert hidden.response == {:ok, 7}
      end

      test "lets a reply come later, and from elsewhere", %{tenon: tenon, one: one} do
        waits = Task.async(fn -> Services.direct(one, tenon.name, :c_keep, %{"n" => 1}) end)

        Wait.until("the call to be kept", fn ->
          answer = Services.direct(one, tenon.name, :c_answer, {:from, :elsewhere})
          assert %Message{response: {:ok, answered?}} = answer
          answered?
        end)

        assert %Message{service_name: :c_keep} = reply = Wait.await(waits)
        assert reply.response == {:ok, {:from, :elsewhere}}
        assert reply.raw_request == %{"n" => 1}
        assert reply.halted?
      end

      test "clears the request, and does not take a halted message for done", context do
        fields = %{request: %{left: :over}, halted?: true, response: {:error, :of_before}}

        reply = Services.direct(context.one, context.tenon.name, :c_echo, :raw, fields: fields)

        assert %Message{response: {:ok, :raw}, request: nil, halted?: true} = reply
      end

      test "gives back fields that it does not know", %{tenon: tenon, one: one} do
        fields = %{:of_tomorrow => {:any, "term"}, "no atom" => 1}
        reply = Services.direct(one, tenon.name, :c_echo, :raw, fields: fields)
        assert %{:response => {:ok, :raw}, "no atom" => 1} = reply
        assert reply.of_tomorrow == {:any, "term"}
      end
    end

    describe "#{generation}: a router in C that chooses" do
      test "another node has the call served there, and answered to the caller", context do
        %{tenon: tenon, other: other, one: one, two: two} = context

        for caller <- [one, two],
            service <- [:c_where, :c_renamed],
            target <- [other.name, one.name, two.name] do
          opts = [assigns: %{forward_to: target, kept: 1}, correlation_id: "the-conversation"]
          reply = Services.direct(caller, tenon.name, service, %{"id" => 7}, opts)
          assert %Message{response: {:ok, ^target}, service_name: ^service} = reply
          assert %Message{halted?: true, request: nil, raw_request: %{"id" => 7}} = reply
          assert reply.assigns == %{forward_to: target, kept: 1}
          assert reply.correlation_id == "the-conversation"
          assert node(reply.reply_to) == caller.name
          assert Services.outcome(caller, service, nil, opts) == {:ok, target}
        end
      end

      test "itself has it served at once", %{tenon: tenon, one: one} do
        for target <- [:local, tenon.name] do
          assigns = %{forward_to: target}
          reply = Services.direct(one, tenon.name, :c_where, nil, assigns: assigns)
          assert reply.response == {:ok, tenon.name}
        end
      end

      test "is asked only when the call is allowed", %{tenon: tenon, one: one, two: two} do
        assigns = %{forward_to: two.name, deny: {:no, 1}}
        reply = Services.direct(one, tenon.name, :c_where, nil, assigns: assigns)
        assert reply.response == {:error, {:no, 1}}
      end

      test "sends events from there when they are asked for", context do
        %{tenon: tenon, other: other, one: one, two: two} = context

        for target <- [other.name, two.name],
            {dry_run, events} <- [{false, []}, {true, []}, {:verbose, [:happened]}] do
          opts = [assigns: %{forward_to: target}, dry_run: dry_run]
          reply = Services.direct(one, tenon.name, :c_echo, %{"event" => :happened}, opts)
          assert %Message{response: {:ok, _}, dry_run: ^dry_run, events: ^events} = reply
        end
      end

      test "serves callers of its own node as well", context do
        %{tenon: tenon, other: other, one: one, two: two} = context

        for target <- [tenon.name, other.name, one.name, two.name] do
          assert from_c(one, tenon, :c_where, %{forward_to: target}) == {:ok, target}
        end
      end

      test "brings large requests there", %{tenon: tenon, other: other, one: one, two: two} do
        data = :binary.copy("0123456789abcdef", 200_000)

        for target <- [other.name, two.name] do
          opts = [assigns: %{forward_to: target}]
          reply = Services.direct(one, tenon.name, :c_echo, data, opts)
          assert reply.response == {:ok, data}
        end
      end

      # A BEAM router casts and looks no further: its caller waits until its timeout.
      @tag :tenon_only
      test "a node that is gone tells the caller so", %{tenon: tenon, one: one} do
        gone = Cluster.unique_node("gone")
        assigns = %{forward_to: gone}
        reply = Services.direct(one, tenon.name, :c_where, %{"id" => 7}, assigns: assigns)
        assert %Message{response: {:error, {:badrpc, :nodedown}}, halted?: true} = reply
        assert reply.raw_request == %{"id" => 7}

        assert Services.outcome(one, :c_where, nil, assigns: assigns) ==
                 {:failed, :nodedown}

        assert from_c(one, tenon, :c_where, assigns) == {:error, {:badrpc, :nodedown}}
        failed = TenonNode.await_event(tenon, :x3m_forward_failed, node: to_string(gone))
        assert %{"service" => "c_where", "reason" => ":nodedown"} = failed
      end

      @tag :tenon_only
      test "a node that is lost meanwhile tells the caller so", %{tenon: tenon, one: one} do
        for goes <- [start_tenon(), start_beam(x3m: @generation)] do
          opts = [assigns: %{forward_to: goes.name}]
          raw = %{"ms" => 10 * @timeout}
          call = Task.async(fn -> Services.direct(one, tenon.name, :c_slow, raw, opts) end)
          TenonNode.await_event(tenon, :peer_up, node: to_string(goes.name))
          Program.signal(goes.program, :KILL)
          assert %Message{response: {:error, {:badrpc, :nodedown}}} = Wait.await(call)
        end
      end

      @tag :tenon_only
      test "a node where it fails tells the caller how", context do
        %{tenon: tenon, other: other, one: one, two: two} = context

        for target <- [other.name, two.name] do
          opts = [assigns: %{forward_to: target}]
          reply = Services.direct(one, tenon.name, :c_fail, %{"how" => "raise"}, opts)
          assert {:error, {:badrpc, {:EXIT, {:c_raised, stack}}}} = reply.response
          assert is_list(stack)
          reply = Services.direct(one, tenon.name, :c_fail, %{"how" => "exit"}, opts)
          assert reply.response == {:error, {:badrpc, {:EXIT, :c_exited}}}
        end
      end

      @tag :tenon_only
      test "what is no node fails the call", %{tenon: tenon, one: one} do
        for choice <- ["no atom", 1, {:n, 1}] do
          opts = [assigns: %{forward_to: choice}]
          result = Services.direct(one, tenon.name, :c_where, nil, opts)
          assert {:badrpc, {:EXIT, {:badarg, _stack}}} = result
        end

        assert Services.direct(one, tenon.name, :c_echo, 1).response == {:ok, 1}
      end
    end

    describe "#{generation}: a router in Elixir that chooses" do
      test "a C node has the call served there, whoever calls", context do
        %{tenon: tenon, other: other, one: one, two: two} = context

        for target <- [tenon.name, other.name, one.name, two.name] do
          assigns = %{forward_to: target}
          assert Services.outcome(two, :f_where, nil, assigns: assigns) == {:ok, target}
          assert Services.outcome(one, :f_where, nil, assigns: assigns) == {:ok, target}
          assert from_c(one, tenon, :f_where, assigns) == {:ok, target}
        end
      end
    end

    describe "#{generation}: bad input to a router in C" do
      @tag :tenon_only
      test "a message without one of its fields fails the call", %{tenon: tenon, one: one} do
        for field <- Map.keys(Message.new(:c_echo)) do
          mark = Program.mark(tenon.program)

          result =
            on one, name: tenon.name, field: field do
              message = Map.delete(X3m.System.Message.new(:c_echo), field)
              :rpc.call(name, Demo.Router, :c_echo, [message])
            end

          assert {:badrpc, {:EXIT, {:function_clause, [{Demo.Router, :c_echo, [_], []} | _]}}} =
                   result

          assert_refused(tenon, mark, ~s(no field \\"#{field}\\"))
        end

        assert Services.direct(one, tenon.name, :c_echo, 1).response == {:ok, 1}
      end

      @tag :tenon_only
      test "a field of a wrong type fails the call", %{tenon: tenon, one: one} do
        for {field, wrong} <- [
              __struct__: X3m.System.Response,
              service_name: "c_echo",
              id: :atom,
              correlation_id: 7,
              causation_id: [1],
              logger_metadata: %{},
              logger_metadata: [:improper | :list],
              dry_run: "verbose",
              valid?: 1,
              assigns: [],
              events: %{},
              events: [1 | 2],
              aggregate_meta: nil,
              origin_node: "a@h",
              reply_to: nil,
              reply_to: :a_name,
              reply_to: make_ref(),
              halted?: 0
            ] do
          mark = Program.mark(tenon.program)
          fields = %{field => wrong}
          result = Services.direct(one, tenon.name, :c_echo, 1, fields: fields)
          assert {:badrpc, {:EXIT, {:function_clause, _stack}}} = result
          assert_refused(tenon, mark, ~s(field \\"#{field}\\"))
        end

        assert Services.direct(one, tenon.name, :c_echo, 1).response == {:ok, 1}
      end

      @tag :tenon_only
      test "a bad forward is logged, and disturbs nobody", %{tenon: tenon, one: one} do
        message = on(one, [], do: X3m.System.Message.new(:c_echo, raw_request: 1))

        for {args, why} <- [
              {[:local, Demo.Handler, :c_echo, :junk], "expected a map"},
              {[:local, Demo.Handler, :c_echo, %{message | reply_to: nil}], "reply_to"},
              {[:local, Demo.Handler, :c_nothing, message], "no router here has"},
              {[:local, Demo.Handler, "c_echo", message], "_invoke"},
              {[:elsewhere, Demo.Handler, :c_echo, message], "_invoke"},
              {[:local, "Handler", :c_echo, message], "_invoke"}
            ] do
          mark = Program.mark(tenon.program)

          assert on(one,
                   name: tenon.name,
                   args: args,
                   do: :rpc.cast(name, Demo.Router, :_invoke, args)
                 ) == true

          assert_refused(tenon, mark, why)
        end

        assert Services.direct(one, tenon.name, :c_echo, 1).response == {:ok, 1}
      end

      test "a reply to a process or a node that is gone is dropped", %{tenon: tenon, one: one} do
        {dead, ref} = on(one, [], do: spawn_monitor(fn -> :ok end))
        assert is_reference(ref)
        gone = pid_of_nowhere()

        for reply_to <- [dead, gone] do
          result =
            on one, name: tenon.name, reply_to: reply_to do
              message = X3m.System.Message.new(:c_echo, reply_to: reply_to)
              :rpc.call(name, Demo.Router, :c_echo, [message])
            end

          assert result == :ok
        end

        assert Services.direct(one, tenon.name, :c_echo, 1).response == {:ok, 1}
      end
    end

    # The response that a C node gets which calls a service, asked by a BEAM node.
    defp from_c(peer, tenon, service, assigns) do
      raw = %{
        "service" => service,
        "raw_request" => nil,
        "assigns" => assigns,
        "timeout" => @timeout
      }

      %Message{response: {:ok, inner}} = Services.direct(peer, tenon.name, :c_calls_back, raw)
      inner["response"]
    end

    # Of a node that nobody has ever seen.
    defp pid_of_nowhere do
      name = to_string(Cluster.unique_node("nowhere"))
      :erlang.binary_to_term(<<131, 88, 119, byte_size(name), name::binary, 9::32, 0::32, 1::32>>)
    end

    # The line that tells of a bad call, among those after the mark.
    defp assert_refused(tenon, mark, why) do
      what = "a line with #{inspect(why)}"

      Program.await(tenon.program, what, @timeout, mark, fn line ->
        refused = Log.match(line, :x3m_bad_call)
        refused && String.contains?(refused["why"], why)
      end)
    end
  end
end
