for generation <- TenonHarness.Services.generations() do
  defmodule Module.concat(TenonHarness.AccountTest, Macro.camelize("#{generation}")) do
    use TenonHarness.NodeCase, async: true
    alias TenonHarness.Services
    alias X3m.System.Message

    @generation generation

    # Two C nodes and a BEAM node keep accounts; another BEAM node keeps none and only calls.
    setup_all do
      [one, two, three] = for prefix <- ~w(c c beam), do: Cluster.unique_node(prefix)
      names = Enum.map_join([one, two, three], ",", &to_string/1)
      env = [{"ACCOUNT_NODES", names}]
      beam = start_beam(name: three, x3m: @generation, env: env)
      outside = start_beam(x3m: @generation)
      :ok = BeamNode.call(beam, Account.Router, :register_services, [])
      load = ["--load", Path.join(Path.dirname(TenonNode.demo_so()), "account.so")]
      peers = [beam.name, outside.name]

      c_nodes =
        for name <- [one, two], do: start_tenon(name: name, connect: peers, env: env, args: load)

      for tenon <- c_nodes, TenonNode.beam?(), do: register_in_beam(tenon, outside)
      assert on(outside, name: three, do: Node.ping(name)) == :pong
      Services.await_providers(outside, :account_home, Enum.sort([one, two, three]))
      {:ok, names: names, homes: [one, two, three], beam: beam, outside: outside}
    end

    describe "#{generation}: accounts over two C nodes and one BEAM node" do
      test "live each on the node that their id chooses, whoever asks", context do
        for id <- ids(), from <- callers(context) do
          home = Account.Router.home(id, context.names)
          assert call(context, from, :account_home, %{"id" => id}).response == {:ok, home}
        end

        assert Enum.sort(Enum.uniq(Enum.map(ids(), &Account.Router.home(&1, context.names)))) ==
                 Enum.sort(context.homes)
      end

      test "are the same to every caller", context do
        for id <- ids(), from <- callers(context) do
          id = "#{id} of #{inspect(from)}"
          assert run(context, from, :account_open, id, nil) == {:created, id, 0}

          for {caller, n} <- Enum.with_index(callers(context), 1) do
            assert run(context, caller, :account_deposit, id, 10) == {:ok, n}
          end

          for caller <- callers(context) do
            assert run(context, caller, :account_balance, id, nil) == {:ok, 40, 4}
          end

          assert run(context, from, :account_withdraw, id, 41) == {:error, :insufficient_funds}
          assert run(context, from, :account_withdraw, id, 40) == {:ok, 5}
        end
      end

      test "answer alike in C and in Elixir, term by term", context do
        [first | others] =
          for home <- context.homes do
            id = id_at(home, context.names)
            from = Enum.at(callers(context), 3)

            script = [
              {:account_deposit, 5, []},
              {:account_open, nil, [dry_run: true]},
              {:account_balance, nil, []},
              {:account_open, nil, []},
              {:account_open, nil, []},
              {:account_deposit, 7, [id: "the same"]},
              {:account_deposit, 7, [id: "the same"]},
              {:account_deposit, 7, [dry_run: true]},
              {:account_deposit, 7, [dry_run: :verbose]},
              {:account_withdraw, 8, [dry_run: true]},
              {:account_deposit, -1, []},
              {:account_deposit, "7", []},
              {:account_deposit, nil, []},
              {:account_withdraw, 8, []},
              {:account_withdraw, 3, [dry_run: :verbose]},
              {:account_withdraw, 3, []},
              {:account_balance, nil, []}
            ]

            for {service, amount, opts} <- script do
              reply = call(context, from, service, %{"id" => id, "amount" => amount}, opts)
              assert reply.request == nil
              assert reply.halted?
              assert reply.aggregate_meta.id == id

              response =
                if match?({:created, _, _}, reply.response), do: :created, else: reply.response

              {response, reply.aggregate_meta.version, reply.events, reply.valid?}
            end
          end

        for other <- others, do: assert(other == first)

        assert Enum.map(first, &elem(&1, 0)) == [
                 {:error, :not_found},
                 {:ok, -1},
                 {:error, :not_found},
                 :created,
                 {:error, :already_exists},
                 {:ok, 1},
                 {:ok, 1},
                 {:ok, 1},
                 {:ok, 1},
                 {:error, :insufficient_funds},
                 {:validation_error, %{valid?: false, amount: "no amount"}},
                 {:validation_error, %{valid?: false, amount: "no amount"}},
                 {:validation_error, %{valid?: false, amount: "no amount"}},
                 {:error, :insufficient_funds},
                 {:ok, 1},
                 {:ok, 2},
                 {:ok, 4, 2}
               ]

        assert Enum.at(first, 8) == {{:ok, 1}, 1, [{:deposited, 7}], true}
      end

      test "without an id are refused where they are called", context do
        for from <- callers(context) do
          reply = call(context, from, :account_balance, %{})
          assert reply.response == {:missing_id, "id"}
        end
      end

      test "take many deposits at once and lose none", context do
        for home <- context.homes do
          id = id_at(home, context.names)
          assert run(context, :outside, :account_open, id, nil) == {:created, id, 0}

          1..40
          |> Enum.map(fn n ->
            from = Enum.at(callers(context), rem(n, 4))
            Task.async(fn -> run(context, from, :account_deposit, id, n) end)
          end)
          |> Enum.each(fn task -> assert {:ok, _version} = Wait.await(task) end)

          assert run(context, :outside, :account_balance, id, nil) == {:ok, 820, 40}
        end
      end
    end

    # Not by this node: BEAM nodes that it connects to would all find each other.
    defp register_in_beam(tenon, from) do
      :pong = BeamNode.call(from, Node, :ping, [tenon.name])
      args = [tenon.name, Account.Router, :register_services, []]
      :ok = BeamNode.call(from, :rpc, :call, args)
    end

    defp ids, do: ["a", "b", "c"]

    # An id that nobody else uses, of an account that lives there.
    defp id_at(home, names) do
      Enum.find(Stream.repeatedly(fn -> Cluster.unique("id") end), fn id ->
        Account.Router.home(id, names) == home
      end)
    end

    defp callers(%{homes: [one, two, _three]}), do: [one, two, :beam, :outside]

    defp run(context, from, service, id, amount) do
      call(context, from, service, %{"id" => id, "amount" => amount}).response
    end

    defp call(context, from, service, raw, opts \\ [])

    defp call(%{beam: beam}, :beam, service, raw, opts),
      do: Services.dispatch(beam, service, raw, opts)

    defp call(%{outside: outside}, :outside, service, raw, opts),
      do: Services.dispatch(outside, service, raw, opts)

    # A C node calls when it is asked to; it tells less of what it gets.
    defp call(%{outside: outside}, c_node, service, raw, []) do
      raw = %{"service" => service, "raw_request" => raw, "timeout" => @timeout}
      %Message{response: {:ok, inner}} = Services.direct(outside, c_node, :c_calls_back, raw)
      %Message{Message.new(service) | response: inner["response"]}
    end
  end
end
