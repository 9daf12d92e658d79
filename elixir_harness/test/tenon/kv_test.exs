defmodule TenonHarness.KvTest do
  @moduledoc false
  # The key-value store of test/examples/kv.c, which shares its buckets with the guide's modules on a
  # BEAM node: the first half of the alphabet is in C, the second in Elixir.
  use TenonHarness.NodeCase, async: true

  alias TenonHarness.Behaviours

  setup_all do
    c = Cluster.unique_node("kv_c")
    beam = Cluster.unique_node("kv_beam")
    nowhere = Cluster.unique_node("nowhere")
    table = [{?a..?m, c}, {?n..?z, beam}, {?0..?9, nowhere}]
    start_store(c, table)
    elixir = start_beam(name: beam)
    :ok = BeamNode.call(elixir, KV, :start, [table])
    {:ok, c: c, beam: beam, elixir: elixir, nowhere: nowhere, table: table}
  end

  test "the Elixir node finds the buckets of both", %{c: c, beam: beam, elixir: elixir} do
    for {bucket, owner} <- [{"apples", c}, {"pears", beam}] do
      route = fn function ->
        args = [bucket, KV.Registry, function, [KV.Registry, bucket]]
        BeamNode.call(elixir, KV.Router, :route, args)
      end

      assert route.(:lookup) == :error
      pid = route.(:create)
      assert node(pid) == owner
      assert route.(:create) == pid
      assert route.(:lookup) == {:ok, pid}
      use_bucket(pid)
    end
  end

  test "the C node routes to the buckets of both", %{c: c, beam: beam} do
    for {bucket, owner} <- [{"bananas", c}, {"quinces", beam}] do
      route = fn function ->
        :rpc.call(c, KV.Router, :route, [bucket, KV.Registry, function, [KV.Registry, bucket]])
      end

      assert route.(:lookup) == :error
      pid = route.(:create)
      assert node(pid) == owner
      assert route.(:lookup) == {:ok, pid}
      use_bucket(pid)
    end
  end

  test "a request that is sent to the wrong node is sent on", %{c: c, beam: beam} do
    for {bucket, owner} <- [{"cherries", c}, {"radishes", beam}], via <- [c, beam] do
      args = [bucket, KV.Registry, :create, [KV.Registry, bucket]]
      task = Task.Supervisor.async({KV.RouterTasks, via}, KV.Router, :route, args)
      assert node(Wait.await(task)) == owner
    end
  end

  test "many requests at a time reach their buckets", %{c: c, beam: beam} do
    names = for letter <- ?a..?z, number <- 1..4, do: <<letter, ?_, ?0 + number>>

    results =
      names
      |> Task.async_stream(
        fn name ->
          via = Enum.random([c, beam])
          args = [name, KV.Registry, :create, [KV.Registry, name]]
          pid = :rpc.call(via, KV.Router, :route, args)
          :ok = KV.Bucket.put(pid, "name", name)
          {name, node(pid), KV.Bucket.get(pid, "name")}
        end,
        max_concurrency: 8,
        timeout: @timeout
      )
      |> Enum.map(fn {:ok, result} -> result end)

    assert results == for(name <- names, do: {name, if(name < "n", do: c, else: beam), name})
  end

  test "a key without an entry is the guide's error, wherever it is found", %{
    c: c,
    beam: beam,
    table: table
  } do
    message = "could not find entry for \"Zoo\" in table #{inspect(table)}"
    args = ["Zoo", KV.Registry, :lookup, [KV.Registry, "Zoo"]]

    for node <- [c, beam] do
      task = Task.Supervisor.async_nolink({KV.RouterTasks, node}, KV.Router, :route, args)
      assert {:exit, {%RuntimeError{message: ^message}, [_ | _]}} = Task.yield(task, @timeout)

      assert {:badrpc, {:EXIT, {%RuntimeError{message: ^message}, [_ | _]}}} =
               :rpc.call(node, KV.Router, :route, args)
    end
  end

  test "a function that fails there fails the call here", %{c: c, beam: beam} do
    for {bucket, via} <- [{"apples", beam}, {"pears", c}, {"apples", c}, {"pears", beam}] do
      args = [bucket, KV.Registry, :nothing, [1]]
      assert {:badrpc, {:EXIT, reason}} = :rpc.call(via, KV.Router, :route, args)
      assert {:undef, [{KV.Registry, :nothing, [1], _} | _]} = reason
    end
  end

  test "a node of the table that is not there ends the call", %{
    c: c,
    beam: beam,
    nowhere: nowhere
  } do
    for via <- [c, beam] do
      args = ["1st", KV.Registry, :lookup, [KV.Registry, "1st"]]
      assert {:badrpc, {:EXIT, reason}} = :rpc.call(via, KV.Router, :route, args)
      assert {{:nodedown, ^nowhere}, {_module, _function, [_ | _]}} = reason
    end
  end

  test "a caller that is killed takes the task on the other node along", %{c: c, beam: beam} do
    args = ["pears", Behaviours, :hang, [self()]]
    {:ok, pid} = Task.Supervisor.start_child({KV.RouterTasks, c}, KV.Router, :route, args)
    assert_receive {:hangs, sleeper}
    assert node(sleeper) == beam
    ref = Process.monitor(sleeper)
    # The monitor goes another way than the kill; it is there when this has been answered.
    assert :rpc.call(beam, Process, :alive?, [sleeper])
    Process.exit(pid, :kill)
    assert_receive {:DOWN, ^ref, :process, ^sleeper, :killed}
  end

  # All that a bucket does, asked by this node, whatever it is written in.
  defp use_bucket(pid) do
    assert KV.Bucket.get(pid, "milk") == nil
    assert KV.Bucket.put(pid, "milk", 3) == :ok
    assert KV.Bucket.put(pid, {:any, "key"}, %{self() => [1.5]}) == :ok
    assert KV.Bucket.get(pid, "milk") == 3
    assert KV.Bucket.put(pid, "milk", 4) == :ok
    assert KV.Bucket.get(pid, {:any, "key"}) == %{self() => [1.5]}
    assert KV.Bucket.delete(pid, "milk") == 4
    assert KV.Bucket.delete(pid, "milk") == nil
    assert KV.Bucket.get(pid, "milk") == nil
  end

  # The example, or a BEAM node in its place.
  defp start_store(name, table) do
    if TenonNode.beam?() do
      :ok = [name: name] |> start_beam() |> BeamNode.call(KV, :start, [table])
    else
      routes = for {range, node} <- table, do: "#{<<range.first>>}-#{<<range.last>>}=#{node}"
      kv = Path.join(Path.dirname(TenonNode.demo_so()), "kv.so")
      env = [{"KV_ROUTES", Enum.join(routes, ",")}]
      start_tenon(name: name, load: false, env: env, args: ["--load", kv])
    end
  end
end
