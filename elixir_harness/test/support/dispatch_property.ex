defmodule TenonHarness.DispatchProperty do
  @moduledoc """
  Random messages to random services, dispatched by this node's own dispatcher and by another node's:
  the replies must be the same. Runs on a BEAM node with X3m.System, in rounds; each has its own
  services, at a random set of providers under random routers.
  """

  alias TenonHarness.{Terms, Wait}
  alias X3m.System.Message

  @services 6
  @round_runs 100
  @max_bytes 1_048_576
  # A silent provider, and nobody else, makes a dispatch wait for it.
  @silent_ms 20
  @modules_each 3

  @doc """
  Runs `runs` messages. `other`: the node whose dispatcher is compared. `providers`: the nodes that
  register services; each, and `other`, has the module `:probe`.
  """
  def run(seed, runs, other, providers) do
    :rand.seed(:exsss, {seed, 1, 2})
    # A Tenon node has a registry from its first use of X3m.System on.
    %{} = :rpc.call(other, :probe, :providers, [[]])

    for {count, round} <- Enum.with_index(rounds(runs)),
        plan = start_round(round, other, providers),
        _ <- 1..count,
        reduce: %{} do
      kinds -> Map.update(kinds, check(plan), 1, &(&1 + 1))
    end
  end

  defp rounds(runs) when runs > @round_runs, do: [@round_runs | rounds(runs - @round_runs)]
  defp rounds(runs), do: [runs]

  # ---- services ----

  defp start_round(round, other, providers) do
    names = for n <- 1..@services, do: "p_#{round}_#{n}"
    offers = for name <- names, node <- providers, :rand.uniform(3) > 1, do: {name, node}
    local = "p_#{round}_local"

    for {node, services} <- Enum.group_by(offers, &elem(&1, 1), &elem(&1, 0)),
        {module, some} <- Enum.group_by(services, fn _ -> :rand.uniform(@modules_each) end) do
      register(node, round, module, Enum.map(some, &{&1, true}))
    end

    # Each has one of its own, that nobody else finds.
    for node <- [node(), other], do: register(node, round, 0, [{local, false}])

    plan = %{
      other: other,
      providers: providers,
      services: Enum.map([local | names], &String.to_atom/1)
    }

    await(plan, offers)
    plan
  end

  defp register(node, round, module, services) do
    name = "Elixir.Probe.Router#{round}x#{module}"
    {:OK, codes} = :rpc.call(node, :probe, :register, [name, services])
    true = Enum.all?(codes, &(&1 == :OK))
  end

  defp await(%{services: [local | services]} = plan, offers) do
    for node <- [node(), plan.other] do
      expected =
        Map.new(services, fn service ->
          {service, Enum.sort(for {name, at} <- offers, String.to_atom(name) == service, do: at)}
        end)
        |> Map.put(local, [node])

      Wait.until("the services at #{node}", fn -> providers(node, plan) == expected end)
    end
  end

  defp providers(node, plan) do
    for {service, offers} <- :rpc.call(node, :probe, :providers, [plan.services]), into: %{} do
      {service, offers |> Enum.map(&elem(&1, 0)) |> Enum.sort()}
    end
  end

  # ---- messages ----

  defp check(plan) do
    message = message(plan)

    case :rand.uniform(20) do
      1 -> check(plan, :halted, halted(message))
      2 -> check(plan, :validate, %{message | dry_run: Enum.random([false, true, :verbose])})
      3 -> check(plan, :validate, message)
      4 -> check(plan, :authorized, message)
      5 -> check(plan, :silent, silent(message))
      6 -> check(plan, :nobody, %{message | service_name: :p_nobody})
      7 -> check(plan, :async, message)
      _ -> check(plan, :dispatch, message)
    end
  end

  defp message(plan) do
    service = Enum.random(plan.services)

    deed =
      Enum.random([:ok, :ok, :ok, :error, :created, :response, :change, :raise, :throw, :exit])

    refusals = refusals(plan)

    Message.new(service,
      raw_request: {refusals, deed, payload()},
      logger_metadata: Enum.random([[], [a: 1], [request_id: "r", user: Terms.random(2)]]),
      dry_run: Enum.random([false, false, true, :verbose])
    )
    |> Map.put(
      :assigns,
      Enum.random([%{}, %{a: Terms.random(2)}, %{deny: Terms.random(1)}, %{}, %{}])
    )
    |> Map.put(:aggregate_meta, Enum.random([%{}, %{id: "1", version: 3}]))
    |> put_what_replies_clear(refusals)
  end

  # Whether a failing provider gets these depends on whether one that refuses was asked before it.
  defp put_what_replies_clear(message, refusals) when refusals == %{} do
    %{
      message
      | request: Enum.random([nil, Terms.random(1)]),
        events: Enum.random([[], [1, 2], [Terms.random(2)]])
    }
  end

  defp put_what_replies_clear(message, _refusals), do: message

  # Of the services of their own, both callers refuse the same.
  defp refusals(plan) do
    own = for node <- [node(), plan.other], into: %{}, do: {node, :busy_itself}

    others =
      for node <- plan.providers, :rand.uniform(2) == 1, into: %{} do
        {node, Enum.random([:busy, {:busy, node}, Terms.random(2)])}
      end

    Enum.random([others, others, Map.merge(others, own), %{}])
  end

  defp payload do
    case :rand.uniform(60) do
      1 -> large(:rand.uniform(@max_bytes))
      2 -> Enum.map(1..:rand.uniform(2_000), fn _ -> Terms.random(2) end)
      _ -> Terms.random(4)
    end
  end

  defp large(bytes) do
    case :rand.uniform(3) do
      1 -> :crypto.strong_rand_bytes(bytes)
      2 -> List.duplicate(:rand.uniform(1_000_000), div(bytes, 5))
      3 -> Map.new(1..(div(bytes, 100) + 1), &{&1, :crypto.strong_rand_bytes(80)})
    end
  end

  defp halted(message), do: Message.return(message, Terms.random(2))

  # Nobody answers at all, not even a refusal: an answer might come before the end of the wait or after it.
  defp silent(%{raw_request: {_refusals, _deed, payload}, assigns: assigns} = message) do
    %{message | raw_request: {%{}, :silent, payload}, assigns: Map.delete(assigns, :deny)}
  end

  # ---- both dispatchers ----

  defp check(plan, kind, message) do
    [ours, theirs] = for node <- [node(), plan.other], do: ask(node, kind, message)

    case differing(comparable(ours, node()), comparable(theirs, plan.other)) do
      [] -> :ok
      differing -> raise "not the same after #{kind} of #{text(message)}: #{text(differing)}"
    end

    kind_of(kind, ours)
  end

  # {what, here, there}
  defp differing(%Message{} = ours, %Message{} = theirs) do
    for {field, value} <- Map.to_list(ours),
        value !== Map.fetch!(theirs, field),
        do: {field, value, Map.fetch!(theirs, field)}
  end

  defp differing(ours, theirs), do: if(ours === theirs, do: [], else: [{:all, ours, theirs}])

  defp ask(node, :halted, message), do: call(node, :dispatch, message, :default)
  defp ask(node, :silent, message), do: call(node, :dispatch, message, @silent_ms)
  defp ask(node, :validate, message), do: call(node, :validate, message, :default)
  defp ask(node, :authorized, message), do: call(node, :authorized, message, :default)
  defp ask(node, :async, message), do: call(node, :dispatch_async, message, 60_000)

  defp ask(node, _kind, message),
    do: call(node, :dispatch, message, Enum.random([60_000, :infinity]))

  # Ours is asked here, so that its own part is what the caller of a dispatcher sees.
  defp call(node, function, message, timeout) when node == node(),
    do: apply(:probe, function, [message, timeout])

  defp call(node, function, message, timeout),
    do: :rpc.call(node, :probe, function, [message, timeout])

  defp comparable(%Message{} = reply, node) do
    # Who dispatched, and when, may differ; a halted message still has what it came with.
    if reply.reply_to != nil and node(reply.reply_to) not in [node(), node],
      do: raise("reply_to is of #{node(reply.reply_to)}")

    %DateTime{} = reply.invoked_at
    %{reply | reply_to: nil, invoked_at: nil, response: response(reply.response)}
  end

  defp comparable(answer, _node), do: answer

  # Those that refused were asked in random order.
  defp response({:error, {:no_nodes_available, refusals}}),
    do: {:error, {:no_nodes_available, Enum.sort(refusals)}}

  # Where in the code it was raised.
  defp response({:error, {:badrpc, {:EXIT, {reason, [{_, _, _, _} | _]}}}}),
    do: {:error, {:badrpc, {:EXIT, {reason, :a_stack}}}}

  defp response(response), do: response

  defp kind_of(kind, %Message{response: response}) when kind in [:dispatch, :async, :validate] do
    case response do
      {:error, {:no_nodes_available, [_, _ | _]}} -> :several_refused
      {:error, {:no_nodes_available, _}} -> :one_refused
      {:error, {:badrpc, _}} -> :failed
      {:service_unavailable, _} -> :unavailable
      _ -> kind
    end
  end

  defp kind_of(kind, _answer), do: kind

  defp text(term), do: inspect(term, limit: 40, printable_limit: 100)
end
