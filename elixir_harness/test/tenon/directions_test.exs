for generation <- TenonHarness.Services.generations() do
  defmodule Module.concat(TenonHarness.DirectionsTest, Macro.camelize("#{generation}")) do
    use TenonHarness.NodeCase, async: true
    alias TenonHarness.{Directions, Services}

    @generation generation

    # {what is called, service, raw_request, further fields of the message, timeout}
    @cases [
      {:dispatch, :c_echo, nil, [], :default},
      {:dispatch, :c_echo, {:a, [1, 2.5 | "tail"], %{1 => nil}}, [], :infinity},
      {:dispatch, :c_echo, %{"event" => {:happened, 1}}, [], 60_000},
      {:dispatch, :c_echo, %{"event" => 1}, [dry_run: true], 60_000},
      {:dispatch, :c_echo, %{"event" => 1}, [dry_run: :verbose], 60_000},
      {:dispatch, :c_echo, %{"event" => 3}, [dry_run: :verbose, events: [2, 1]], 60_000},
      {:dispatch, :c_echo, 1, [assigns: %{a: 1}, aggregate_meta: %{id: "7"}], 60_000},
      {:dispatch, :c_echo, 1, [logger_metadata: [request_id: "r"], request: :old], 60_000},
      {:dispatch, :c_echo, 1, [correlation_id: "c", causation_id: "d", valid?: false], 60_000},
      {:dispatch, :c_echo, 1, [assigns: %{deny: :not_you}], 60_000},
      {:dispatch, :c_echo, 1, [assigns: %{deny: {:error, 1}}, events: [2, 1], request: 5],
       60_000},
      {:dispatch, :c_echo, 1, [halted?: true, response: :old], 60_000},
      {:dispatch, :c_echo, 1, [halted?: true, response: :old], :default},
      {:dispatch, :c_sum, %{"numbers" => [1, -2, 36_893_488_147_419_103_232]}, [], 60_000},
      {:dispatch, :c_sum, %{"numbers" => [1, :two]}, [], 60_000},
      {:dispatch, :c_sum, %{}, [], 60_000},
      {:dispatch, :c_slow, %{"ms" => 30}, [], 60_000},
      {:dispatch, :c_fail, %{"how" => "error"}, [], 60_000},
      {:dispatch, :c_fail, %{"how" => "ok"}, [], 60_000},
      {:dispatch, :c_fail, %{"how" => "created"}, [], 60_000},
      {:dispatch, :c_fail, %{"how" => "version"}, [], 60_000},
      {:dispatch, :c_fail, %{"how" => "unauthorized"}, [], 60_000},
      {:dispatch, :c_fail, %{"how" => "raise"}, [], 60_000},
      {:dispatch, :c_fail, %{"how" => "throw"}, [], 60_000},
      {:dispatch, :c_fail, %{"how" => "exit"}, [], 60_000},
      {:dispatch, :c_fail, %{"how" => "noreply"}, [], 60},
      {:dispatch, :c_try_another, nil, [assigns: %{a: 1}], 60_000},
      {:dispatch, :c_private, nil, [], 60_000},
      {:dispatch, :c_nowhere, nil, [events: [2, 1]], 60_000},
      {:dispatch, :c_calls_back, %{"service" => :c_echo, "raw_request" => 1, "timeout" => 60_000},
       [], 60_000},
      {:dispatch, :c_calls_back, %{"service" => :c_private, "timeout" => 60_000}, [], 60_000},
      {:dispatch_async, :c_echo, %{"event" => 1}, [dry_run: :verbose], 60_000},
      {:dispatch_async, :c_fail, %{"how" => "noreply"}, [], 60},
      {:dispatch_async, :c_nowhere, nil, [], 60_000},
      {:validate, :c_echo, %{"event" => 1}, [], :default},
      {:validate, :c_echo, %{"event" => 1}, [dry_run: :verbose], :default},
      {:validate, :c_echo, nil, [halted?: true, response: :old], :default},
      {:authorized, :c_echo, nil, [], :default},
      {:authorized, :c_slow, nil, [assigns: %{deny: :not_you}], :default},
      {:authorized, :c_nowhere, nil, [], :default}
    ]

    # Of these the dispatcher of 0.9.0 makes something else.
    @other_in_0_9_0 [
      {:c_fail, %{"how" => "raise"}},
      {:c_fail, %{"how" => "throw"}},
      {:c_fail, %{"how" => "exit"}},
      {:c_try_another, nil}
    ]

    # Whom a node meets by a forwarded call it does not tell the others: they would find further providers.
    @alone ["-connect_all", "false"]

    # One provider each, and callers that offer nothing: the reference is BEAM to BEAM. What C does when
    # a call fails is what the later dispatcher does, whatever the provider's generation.
    setup_all do
      beam = start_beam(x3m: @generation, erl: @alone)
      :ok = BeamNode.call(beam, Demo.Router, :register_services, [])
      callers = for provider <- [beam, start_tenon()], do: start_callers(provider)
      {:ok, Enum.zip([:to_beam, :to_c], callers)}
    end

    for {{function, service, raw_request, fields, timeout}, n} <- Enum.with_index(@cases) do
      @case {function, service, raw_request, fields, timeout}

      @tag :erpc_caller
      if {service, raw_request} in @other_in_0_9_0, do: @tag(:erpc_library)

      test "#{@generation}: case #{n}, #{function} of #{service}, is the same in each direction",
           context do
        {function, service, raw_request, fields, timeout} = @case
        message = Map.merge(Services.message(service, raw_request, []), Map.new(fields))
        assert_same(context, {function, message, timeout})
      end
    end

    # Neither of the third nodes announces a service: they are found by forwards alone.
    @tag :erpc_caller
    test "#{@generation}: a call that is forwarded is the same in each direction", context do
      third = start_tenon(load: false, probe: true)
      register = [third.name, :probe, :register, ["Elixir.Third.Router", [{"c_echo", false}]]]
      {:OK, [:OK]} = BeamNode.call(context.to_beam.beam, :rpc, :call, register)

      for node <- [third.name, start_beam(x3m: @generation, erl: @alone).name],
          deed <- [:ok, :error, :created, :change],
          dry_run <- [false, true, :verbose] do
        raw_request = {%{}, deed, [1, "two"]}
        message = Services.message(:c_echo, raw_request, assigns: %{forward_to: node})
        reply = assert_same(context, {:dispatch, %{message | dry_run: dry_run}, 60_000})
        assert %{raw_request: ^raw_request, halted?: true, response: response} = reply
        refute match?({:service_timeout, _, _, _}, response)
      end
    end

    defp assert_same(context, asked) do
      assert from_beam(context.to_c.beam, context.to_c, asked) ===
               from_beam(context.to_beam.beam, context.to_beam, asked)

      later = from_beam(context.to_beam.later, context.to_beam, asked)
      assert from_c(context.to_beam, asked) === later
      assert from_c(context.to_c, asked) === later
      later
    end

    defp start_callers(provider) do
      tenon = start_tenon(load: false, probe: true, connect: [provider.name])
      beam = start_beam(x3m: @generation, erl: @alone)
      later = if @generation == :rpc_0_9_0, do: start_beam(x3m: :erpc, erl: @alone), else: beam

      for caller <- Enum.uniq([beam, later]) do
        true = BeamNode.call(caller, Node, :connect, [provider.name])
        Services.await_providers(caller, :c_echo, [provider.name])
      end

      callers = %{beam: beam, later: later, tenon: tenon.name, provider: provider.name}

      Wait.until("services at #{tenon.name}", fn -> offers(callers) == [provider.name] end)

      callers
    end

    defp offers(%{beam: beam, tenon: tenon}) do
      %{c_echo: offers} =
        BeamNode.call(beam, :rpc, :call, [tenon, :probe, :providers, [[:c_echo]]])

      Enum.map(offers, &elem(&1, 0))
    end

    defp from_beam(caller, %{provider: provider}, {function, message, timeout}),
      do: Directions.from_beam(caller, function, message, timeout, provider)

    defp from_c(callers, {function, message, timeout}) do
      %{beam: beam, tenon: tenon, provider: provider} = callers
      Directions.from_tenon(beam, tenon, function, message, timeout, provider)
    end
  end
end
