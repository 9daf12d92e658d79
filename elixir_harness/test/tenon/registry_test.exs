defmodule TenonHarness.RegistryTest do
  use TenonHarness.NodeCase, async: true
  alias X3m.System.Message

  # A peer made by hand stands in for a node with X3m.System: it sees each message, and when.
  @registry X3m.System.ServiceRegistry

  setup do
    tenon = start_connected_tenon()
    {:ok, raw} = RawPeer.connect(tenon)
    {:ok, tenon: tenon, raw: raw, me: raw.name}
  end

  describe "a node that comes up" do
    test "is asked for its services", %{tenon: tenon, raw: raw} do
      assert next_to_registry(raw, :introduce_local_services) == tenon.name
    end

    @tag :tenon_only
    test "is told the services at once", %{tenon: tenon, raw: raw} do
      assert {node, services} = next_to_registry(raw, :register_remote_services)
      assert node == tenon.name
      assert services[:c_echo] == Demo.Router
      refute Map.has_key?(services, :c_private)
    end

    test "is told them when it asks", %{tenon: tenon, raw: raw, me: me} do
      RawPeer.send_to(raw, @registry, {:introduce_local_services, me})
      assert {node, services} = next_to_registry(raw, :register_remote_services)
      assert node == tenon.name

      public = Keyword.keys(Demo.Router.registered_services(:public))
      assert Enum.sort(Map.keys(services)) == Enum.sort(public)
    end

    # In the exchange that comes every 20 s it is told of all of them.
    test "is told of a router that comes later, at once", %{tenon: tenon, raw: raw} do
      assert :rpc.call(tenon.name, :demo, :offer_late, []) == :ok
      late = %{c_late: Demo.LateRouter}

      assert RawPeer.receive_control(raw, fn
               {{6, _from, _unused, @registry}, {:register_remote_services, {_node, services}}} ->
                 services == late

               _other ->
                 nil
             end)
    end

    test "is told when Tenon stops in order", %{tenon: tenon, raw: raw} do
      # Its handshake may be over here before it is there.
      assert next_to_registry(raw, :introduce_local_services) == tenon.name
      Program.signal(tenon.program, :TERM)
      assert next_to_registry(raw, :unregister_node_services) == tenon.name
    end
  end

  describe "what a node offers" do
    test "is found in the map form and in the list form", context do
      to_registry(context.raw, {:register_remote_services, {context.me, %{in_map: A.Router}}})
      assert_calls(context, :in_map, A.Router)
      to_registry(context.raw, {:register_remote_services, {context.me, [in_list: B.Router]}})
      assert_calls(context, :in_list, B.Router)
      assert_calls(context, :in_map, A.Router)
    end

    test "is forgotten when the node says so, and only that of the node", context do
      %{raw: raw, me: me} = context
      other = Cluster.unique_node("other")
      to_registry(raw, {:register_remote_services, {me, %{mine: A.Router, ours: A.Router}}})
      to_registry(raw, {:register_remote_services, {other, %{ours: B.Router}}})
      to_registry(raw, {:unregister_node_services, other})
      assert_calls(context, :ours, A.Router)
      to_registry(raw, {:unregister_node_services, me})
      assert answer(ask(context, :mine)) == {:service_unavailable, :mine}
    end

    test "is forgotten with its connection", %{tenon: tenon, raw: raw, me: me} = context do
      to_registry(raw, {:register_remote_services, {me, %{mine: A.Router}}})
      assert_calls(context, :mine, A.Router)
      RawPeer.close(raw)
      TenonNode.await_event(tenon, :peer_down, node: me)

      Wait.until("the service to be forgotten", fn ->
        answer(ask(context, :mine)) == {:service_unavailable, :mine}
      end)
    end

    @tag :tenon_only
    test "may be junk without harm, which is logged",
         %{tenon: tenon, raw: raw, me: me} = context do
      for junk <- [
            :junk,
            {:register_remote_services, {me, :no_map}},
            {:register_remote_services, {me, [:no_pair, {1, 2}, {:a, "b"}]}},
            {:register_remote_services, {"no atom", %{a: B}}},
            {:register_remote_services, me},
            {:introduce_local_services, "no atom"},
            {:introduce_local_services, Cluster.unique_node("nowhere")},
            {:unregister_node_services, []},
            {:"$gen_call", {RawPeer.pid(raw, 1), :tag}, :what},
            {:"$gen_cast", :what}
          ] do
        to_registry(raw, junk)
      end

      to_registry(raw, {:register_remote_services, {me, %{still: A.Router}}})
      assert_calls(context, :still, A.Router)

      # All but the one that asks to be introduced to a node that is not there.
      dropped =
        Wait.until("nine lines", fn ->
          events = TenonNode.events(tenon, :x3m_registry_dropped)
          if length(events) == 9, do: Enum.map(events, & &1["message"])
        end)

      # The value of a pair stands in quotes, so those in it are escaped.
      junk = String.replace(inspect({:register_remote_services, {me, :no_map}}), "\"", "\\\"")
      assert junk in dropped
      assert Enum.any?(dropped, &String.starts_with?(&1, "[:no_pair, {1, 2}, {:a, "))
    end
  end

  describe "a call of a service of the node" do
    setup %{raw: raw, me: me} do
      to_registry(raw, {:register_remote_services, {me, %{mine: A.Router}}})
    end

    test "brings the message to the router and its reply back", context do
      call = assert_calls(context, :mine, A.Router)
      assert call.options == [:monitor]
      assert map_size(call.message) == 18
      assert call.message.raw_request == :the_request
      assert node(call.message.reply_to) == context.tenon.name
      assert node(call.parent) == context.tenon.name
    end

    test "is answered by what comes instead of ok", context do
      for {outcome, response} <- [
            {{:return, :not_ok}, {:error, {:badrpc, {:bad_return, :not_ok}}}},
            {{:throw, :ball}, {:error, {:badrpc, {:throw, :ball}}}},
            {{:exit, :out}, {:error, {:badrpc, {:EXIT, :out}}}},
            {{:error, :why, []}, {:error, {:badrpc, {:EXIT, {:why, []}}}}}
          ] do
        asked = ask(context, :mine)
        call = take_call(context.raw)
        spawned(context.raw, call)
        ended(context.raw, call, :erlang.insert_element(1, outcome, call.tag))
        assert answer(asked) == response
      end
    end

    test "is answered when its process is not started or dies", context do
      asked = ask(context, :mine)
      call = take_call(context.raw)
      RawPeer.control(context.raw, {31, call.ref, call.parent, 0, :system_limit})
      assert answer(asked) == {:error, {:badrpc, {:EXIT, :system_limit}}}

      asked = ask(context, :mine)
      call = take_call(context.raw)
      spawned(context.raw, call)
      ended(context.raw, call, :killed)
      assert answer(asked) == {:error, {:badrpc, {:EXIT, :killed}}}
    end

    test "is answered when the reply comes before the return", context do
      asked = ask(context, :mine)
      call = take_call(context.raw)
      reply(context.raw, call, {:ok, :early})
      spawned(context.raw, call)
      ended(context.raw, call, {call.tag, :return, :ok})
      assert answer(asked) == {:ok, :early}
    end

    test "fails at once when the connection is lost", context do
      asked = ask(context, :mine)
      take_call(context.raw)
      RawPeer.close(context.raw)
      assert answer(asked) == {:error, {:badrpc, :nodedown}}
    end

    test "times out, and what comes later is dropped", context do
      asked = ask(context, :mine, %{"timeout" => 100})
      late = take_call(context.raw)
      spawned(context.raw, late)
      assert {:service_timeout, :mine, _id, 100} = answer(asked)
      reply(context.raw, late, {:ok, :too_late})
      ended(context.raw, late, {late.tag, :return, :ok})
      assert_calls(context, :mine, A.Router)
    end
  end

  describe "a call that a router of the node forwards" do
    @tag :current_peer
    test "is the cast that routers take, and is answered to the caller", context do
      for {service, function} <- [c_echo: :c_echo, c_renamed: :c_where] do
        asked = ask_forwarded(context, service)
        cast = take_cast(context.raw)
        assert [Demo.Router, :_invoke, [:local, Demo.Handler, ^function, message]] = cast.args
        assert %Message{service_name: ^service, raw_request: :the_request} = message
        assert message.assigns == %{forward_to: context.me}
        assert map_size(message) == 18
        # To be told of the end is more than a router asks for, and what every node can do.
        assert cast.options in [[], [:monitor]]
        spawned(context.raw, cast)
        reply(context.raw, %{message: message}, {:ok, :from_there})
        assert answer(asked) == {:ok, :from_there}
      end
    end

    @tag :tenon_only
    test "fails for the caller when it fails there", context do
      for {reason, response} <- [
            {:killed, {:EXIT, :killed}},
            {{:undef, [{A, :b, 1, []}]}, {:EXIT, {:undef, [{A, :b, 1, []}]}}},
            {{{:exception, {:why, []}}, [:stack]}, {:EXIT, {:why, []}}}
          ] do
        asked = ask_forwarded(context, :c_echo)
        cast = take_cast(context.raw)
        spawned(context.raw, cast)
        ended(context.raw, cast, reason)
        assert answer(asked) == {:error, {:badrpc, response}}
      end
    end

    @tag :tenon_only
    test "fails for the caller when it cannot run there", context do
      for {error, reason} <- [system_limit: {:EXIT, :system_limit}, notsup: :notsup] do
        asked = ask_forwarded(context, :c_echo)
        cast = take_cast(context.raw)
        RawPeer.control(context.raw, {31, cast.ref, cast.parent, 0, error})
        assert answer(asked) == {:error, {:badrpc, reason}}
      end

      asked = ask_forwarded(context, :c_echo)
      take_cast(context.raw)
      RawPeer.close(context.raw)
      assert answer(asked) == {:error, {:badrpc, :nodedown}}
    end

    @tag :tenon_only
    test "is over when its process has ended, whoever replies then", context do
      asked = ask_forwarded(context, :c_echo)
      cast = take_cast(context.raw)
      spawned(context.raw, cast)
      ended(context.raw, cast, :normal)
      [_router, :_invoke, [:local, _handler, :c_echo, message]] = cast.args
      reply(context.raw, %{message: message}, {:ok, :later})
      assert answer(asked) == {:ok, :later}
    end
  end

  # Asks the node to call its own service, which is to be served by the peer.
  defp ask_forwarded(context, service),
    do: ask(context, service, %{"assigns" => %{forward_to: context.me}})

  defp take_cast(raw) do
    RawPeer.receive_control(raw, fn
      {{29, ref, parent, _leader, {:erpc, :execute_cast, 3}, options}, args} ->
        %{ref: ref, parent: parent, options: options, args: args}

      _other ->
        nil
    end)
  end

  # The node is made to call the service, which the peer answers.
  defp assert_calls(context, service, router) do
    asked = ask(context, service)
    call = take_call(context.raw)
    assert {call.router, call.function, call.message.service_name} == {router, service, service}
    spawned(context.raw, call)
    reply(context.raw, call, {:ok, :served})
    ended(context.raw, call, {call.tag, :return, :ok})
    assert answer(asked) == {:ok, :served}
    call
  end

  # A task, because the request is only answered once the peer has served it.
  defp ask(%{tenon: tenon}, service, more \\ %{}) do
    raw_request = %{"service" => service, "raw_request" => :the_request, "timeout" => @timeout}
    raw_request = Map.merge(raw_request, more)

    Task.async(fn ->
      message = Message.new(:c_calls_back, raw_request: raw_request)
      :ok = :erpc.call(tenon.name, Demo.Router, :c_calls_back, [message])

      receive do
        %Message{response: {:ok, inner}} -> inner["response"]
      after
        2 * @timeout -> :no_answer
      end
    end)
  end

  defp answer(asked), do: Task.await(asked, 3 * @timeout)

  defp take_call(raw) do
    RawPeer.receive_control(raw, fn
      {{29, ref, parent, _leader, {:erpc, :execute_call, 4}, options}, args} ->
        [tag, router, function, [message]] = args

        %{
          ref: ref,
          parent: parent,
          options: options,
          tag: tag,
          router: router,
          function: function,
          message: message
        }

      _other ->
        nil
    end)
  end

  defp spawned(raw, call),
    do: RawPeer.control(raw, {31, call.ref, call.parent, 2, RawPeer.pid(raw, 77)})

  defp ended(raw, call, reason),
    do: RawPeer.control(raw, {28, RawPeer.pid(raw, 77), call.parent, call.ref}, reason)

  defp reply(raw, call, response) do
    message = Message.return(call.message, response)
    RawPeer.control(raw, {2, :"", call.message.reply_to}, message)
  end

  # The node is asked by another connection than this one: it is to have read this first.
  defp to_registry(raw, message) do
    RawPeer.send_to(raw, @registry, message)
    ref = RawPeer.ref(raw, System.unique_integer([:positive, :monotonic]))
    RawPeer.control(raw, {19, RawPeer.pid(raw, 1), :nobody_has_this_name, ref})

    true =
      RawPeer.receive_control(raw, fn
        {{28, _name, _me, ^ref}, :noproc} -> true
        {{21, _name, _me, ^ref, :noproc}, nil} -> true
        _other -> nil
      end)

    :ok
  end

  # What the next message of this kind to this peer's registry says.
  defp next_to_registry(raw, kind) do
    RawPeer.receive_control(raw, fn
      {{6, _from, _unused, @registry}, {^kind, content}} -> content
      _other -> nil
    end)
  end
end
