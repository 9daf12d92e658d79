defmodule TenonHarness.RegistryWitness do
  @moduledoc """
  A process in the place of X3m.System's registry that looks at every message that comes to the name,
  and a driver that makes a Tenon node register names of every kind. Runs on a BEAM node without
  X3m.System.
  """

  @registry X3m.System.ServiceRegistry

  @doc "Starts the witness of what `tenon` says."
  def start(tenon) do
    witness = spawn(fn -> watch(%{tenon: tenon, malformed: [], offered: %{}, count: 0}) end)
    true = Process.register(witness, @registry)
    :ok
  end

  @doc "What came so far: how many messages, the malformed ones, and what is offered."
  def seen do
    send(@registry, {:seen, self()})

    receive do
      {:seen, state} -> state
    end
  end

  defp watch(state) do
    receive do
      {:seen, from} ->
        send(from, {:seen, state})
        watch(state)

      message ->
        watch(take(%{state | count: state.count + 1}, message))
    end
  end

  # Stricter than the registry, which dies of some of what is not taken here and is misled by the rest.
  defp take(%{tenon: tenon} = state, {:introduce_local_services, tenon}), do: state

  defp take(%{tenon: tenon} = state, {:unregister_node_services, tenon}),
    do: %{state | offered: %{}}

  defp take(
         %{tenon: tenon} = state,
         {:register_remote_services, {tenon, %{} = services}} = message
       ) do
    if Enum.all?(services, fn {service, router} -> is_atom(service) and is_atom(router) end),
      do: %{state | offered: Map.merge(state.offered, services)},
      else: malformed(state, message)
  end

  defp take(state, message), do: malformed(state, message)

  defp malformed(state, message), do: %{state | malformed: [message | state.malformed]}

  @doc """
  Registers `count` routers' worth of random names on `tenon`, and says junk to its registry in
  between. Returns the services that must be offered then, as far as the node took them.
  """
  def drive(tenon, seed, count) do
    :rand.seed(:exsss, {seed, 3, 4})

    model =
      Enum.reduce(1..count, %{}, fn _, routers ->
        say_junk(tenon)
        register(tenon, routers, random_name(), random_services())
      end)

    for {router, %{announced: services}} <- model,
        service <- services,
        into: %{},
        do: {service, router}
  end

  defp register(tenon, routers, name, services) do
    {code, codes} = :rpc.call(tenon, :probe, :register, [name, services])

    case text(name) do
      {:ok, router} when code != :no_router ->
        fresh = for {{service, true}, :OK} <- Enum.zip(services, codes), do: service
        old = Map.get(routers, router, %{public: [], announced: []})
        public = old.public ++ Enum.map(fresh, &elem(text(&1), 1))
        # All or none: a name that another router has registered keeps the whole router out.
        announced = if code == :OK, do: public, else: old.announced
        Map.put(routers, router, %{public: public, announced: announced})

      _no_name ->
        :no_router = code
        routers
    end
  end

  # What C makes of bytes: up to the first 0, and only what can be an atom.
  defp text(bytes) do
    [name | _] = :binary.split(bytes, <<0>>)

    if name != "" and String.valid?(name) and String.length(name) <= 255,
      do: {:ok, String.to_atom(name)},
      else: :error
  end

  defp random_services do
    for _ <- List.duplicate(1, :rand.uniform(5) - 1), do: {random_name(), :rand.uniform(4) > 1}
  end

  defp random_name do
    case :rand.uniform(14) do
      1 ->
        ""

      2 ->
        random_bytes(:rand.uniform(12))

      3 ->
        random_bytes(:rand.uniform(2_000))

      4 ->
        "cut" <> <<:rand.uniform(9), 0>> <> random_bytes(4)

      5 ->
        String.duplicate("a", 250 + :rand.uniform(10))

      6 ->
        String.duplicate("🦊", 250 + :rand.uniform(10))

      7 ->
        "grüße#{:rand.uniform(9)}"

      8 ->
        <<"latin1 ", 0xE9>>

      9 ->
        Enum.random([
          "true",
          "nil",
          "undefined",
          "",
          "_invoke",
          "authorized?",
          "registered_services",
          "{}",
          "%{}"
        ])

      10 ->
        Enum.random(["Elixir.X3m.System.ServiceRegistry", "register_remote_services"])

      11 ->
        <<0xED, 0xA0, 0x80>>

      12 ->
        "with \"quotes\", \n and 'ticks' #{:rand.uniform(99)}"

      _ ->
        "service_#{:rand.uniform(200)}"
    end
  end

  defp random_bytes(count),
    do: :erlang.list_to_binary(for _ <- 1..count, do: :rand.uniform(256) - 1)

  # Answers to these would go to a registry.
  defp say_junk(tenon) do
    junk = [
      :junk,
      {:introduce_local_services, node()},
      {:introduce_local_services, "no atom"},
      {:introduce_local_services, [node()]},
      {:introduce_local_services, {@registry, node()}},
      {:register_remote_services, {node(), :no_map}},
      {:register_remote_services, {node(), [{"no", :atom}, :no_pair, {1, 2, 3} | :improper]}},
      {:register_remote_services, {node(), %{1 => :a, "b" => :c, :d => 2, [] => {}}}},
      {:register_remote_services, {"no atom", %{}}},
      {:register_remote_services, node()},
      {:unregister_node_services, 1.5},
      {:unregister_node_services, tenon},
      {:"$gen_call", {self(), make_ref()}, {:find_nodes_with_service, :a}},
      {:"$gen_call", {Process.whereis(@registry), make_ref()}, :what},
      {:"$gen_cast", :what},
      {:system, {Process.whereis(@registry), make_ref()}, :get_state},
      {:EXIT, self(), :normal}
    ]

    send({@registry, tenon}, Enum.random(junk))
  end
end
