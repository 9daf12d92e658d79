defmodule TenonHarness.MessagesTest do
  use TenonHarness.NodeCase, async: true
  alias X3m.System.Message

  # What X3m.System.Message makes of the same here is what Tenon is compared with.
  @sequences 300
  @uuid ~r/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

  setup_all do
    {:ok, tenon: start_tenon(probe: true, load: false)}
  end

  setup %{tenon: tenon} do
    :pong = Node.ping(tenon.name)
    :ok
  end

  test "new messages are those of the library, with any options", %{tenon: tenon} do
    for options <- [
          %{},
          %{id: "m-1"},
          %{id: "m-1", correlation_id: "c-1"},
          %{id: "m-1", causation_id: "d-1"},
          %{id: "m-1", correlation_id: "c-1", causation_id: "d-1"},
          %{dry_run: true, raw_request: %{"a" => [1, {2, 3.5}]}},
          %{dry_run: :verbose, raw_request: "any term"},
          %{dry_run: false, logger_metadata: [request_id: "r", pid: self()]},
          %{reply_to: self()}
        ] do
      made = run(tenon, :new, [:a_service, options])
      expected = :probe.new(:a_service, Map.merge(Map.take(made, [:id, :reply_to]), options))
      assert plain(made) === plain(expected)
      assert made.origin_node == tenon.name
      assert node(made.reply_to) == if(options[:reply_to], do: node(), else: tenon.name)
      assert_id(made.id, options[:id])
    end
  end

  test "a caused message is that of the library", %{tenon: tenon} do
    parent = Message.new(:parent, id: "p", correlation_id: "c", dry_run: true)
    parent = Message.assign(%{parent | logger_metadata: [request_id: 1]}, :who, :me)
    made = run(tenon, :new_caused_by, [:child, parent, %{"n" => 1}])
    expected = :probe.new_caused_by(:child, parent, %{"n" => 1})
    same = [:id, :reply_to, :logger_metadata]
    assert Map.drop(plain(made), same) === Map.drop(plain(expected), same)
    assert {made.correlation_id, made.causation_id} == {"c", "p"}
    assert_id(made.id, nil)
  end

  test "changes are those of the library, in any order", %{tenon: tenon} do
    seed = :erlang.unique_integer([:positive])
    :rand.seed(:exsss, {seed, 2, 3})

    for n <- 1..@sequences do
      message = Map.merge(Message.new(:s, id: "m"), %{raw_request: one_of([nil, %{}, raw()])})

      message =
        if one_of([true, false]), do: Map.put(message, :of_tomorrow, term()), else: message

      operations = for _ <- 1..one_of([1, 3, 12]), do: operation()

      assert run(tenon, :change, [message, operations]) === :probe.change(message, operations),
             "seed #{seed}, sequence #{n}: #{inspect(operations)}"
    end
  end

  test "an aggregate's id is generated when there is none", %{tenon: tenon} do
    for raw_request <- [%{}, %{"id" => nil}, %{"other" => 1}], field <- ["id", :id] do
      message = Message.new(:s, raw_request: raw_request)
      operation = {:prepare_aggregate_id, field, [generate_if_missing: true]}
      made = run(tenon, :change, [message, [operation]])
      assert %Message{aggregate_meta: %{id: id}, halted?: false, response: nil} = made
      assert id =~ @uuid
      assert made.raw_request == Map.put(raw_request, field, id)
      assert id != run(tenon, :change, [message, [operation]]).aggregate_meta.id
    end
  end

  @tag :tenon_only
  test "operations that cannot be done fail", %{tenon: tenon} do
    for {raw_request, operation} <- [
          {1, {:put_in_raw_request, :a, 1}},
          {[], {:prepare_aggregate_id, "id"}},
          {nil, {:put_request, []}}
        ] do
      message = Message.new(:s, raw_request: raw_request)

      assert {:badrpc, {:EXIT, {:INVAL, _stack}}} =
               :rpc.call(tenon.name, :probe, :change, [message, [operation]])
    end
  end

  defp run(tenon, function, args), do: :erpc.call(tenon.name, :probe, function, args)

  # Without what differs by where and when it was made.
  defp plain(message), do: Map.drop(message, [:invoked_at, :origin_node])

  defp assert_id(id, nil) do
    assert byte_size(id) == 20
    assert {:ok, <<nanoseconds::64, _maker::24, _counter::32>>} = Base.url_decode64(id)
    assert abs(nanoseconds - System.system_time(:nanosecond)) < 60_000_000_000
  end

  defp assert_id(id, given), do: assert(id == given)

  defp operation do
    one_of([
      {:to_service, one_of([:a, :b])},
      {:assign, one_of([:a, :b, :c]), term()},
      {:put_in_raw_request, one_of(["id", "n", :id, 1]), term()},
      {:put_request, one_of([%{}, %{valid?: true, n: 1}, %{valid?: false, errors: [:e]}])},
      {:add_event, one_of([nil, term(), {:event, term()}])},
      {:prepare_aggregate_id, one_of(["id", :id, "none"])},
      {:return, one_of([:ok, {:ok, 1, 2}, {:unauthorized, "no"}, term()])},
      {:ok},
      {:ok, term()},
      {:created, term()},
      {:error, term()}
    ])
  end

  defp raw, do: %{"id" => one_of([term(), nil, "a-1"]), :id => 7, "n" => term()}

  defp term do
    one_of([1, -1.5, :atom, "text", [], ~c"abc", {1, [2 | 3]}, %{"k" => %{v: 1}}, nil, self()])
  end

  defp one_of(choices), do: Enum.random(choices)
end
