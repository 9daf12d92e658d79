# SPDX-License-Identifier: Apache-2.0
# Each line: name, value, unit, parameters. Tenon and the second BEAM node are measured in turns, so that
# what the machine does besides falls on both; a line "ratio" is Tenon's figure over the BEAM node's.

defmodule Bench do
  import Bench.Figures
  alias TenonHarness.{BeamNode, BeamStandIn, Cluster, Program, TenonNode}

  @rounds 7
  @sequential 3_000
  @callers 64
  @calls_each 500

  def run do
    Cluster.join!()
    start_time()
    tenon = TenonNode.start()
    beam_node = BeamNode.start(x3m: :erpc)
    :ok = BeamNode.call(beam_node, BeamStandIn, :start, [[], true, :pg])
    nodes = [tenon: tenon.name, beam: beam_node.name]
    for {_which, name} <- nodes, do: :pong = Node.ping(name)
    small = TenonNode.rss_kib(tenon)

    for {what, call} <- [genserver_call: &genserver_call/2, rpc_call: &rpc_call/2] do
      for {_which, name} <- nodes, do: sequential(call, name, 500)
      latencies(what, call, nodes)
      throughput(what, call, nodes)
    end

    memory(tenon, small)
    for program <- [tenon.program, beam_node.program], do: Program.stop(program)
  end

  defp genserver_call(name, n), do: ^n = GenServer.call({:echo, name}, n)
  defp rpc_call(name, n), do: ^n = :rpc.call(name, :demo, :echo, [n])

  defp latencies(what, call, nodes) do
    samples = in_turns(nodes, fn name -> sequential(call, name, @sequential) end)
    sorted = for {which, rounds} <- samples, do: {which, rounds |> Enum.concat() |> Enum.sort()}

    for {percentile, at} <- [p50: 0.5, p99: 0.99] do
      figures =
        for {which, all} <- sorted, do: {which, Enum.at(all, trunc(length(all) * at)) / 1_000}

      report("#{what}_#{percentile}", figures, "us", "sequential, #{@rounds} x #{@sequential}")
    end
  end

  defp throughput(what, call, nodes) do
    rounds = in_turns(nodes, fn name -> together(call, name) end)
    figures = for {which, rates} <- rounds, do: {which, median(rates)}

    report(
      "#{what}_rate",
      figures,
      "calls/s",
      "#{@callers} callers, median of #{@rounds} x #{@callers * @calls_each}"
    )
  end

  defp in_turns(nodes, measure) do
    rounds = for _ <- 1..@rounds, {which, name} <- nodes, do: {which, measure.(name)}
    for {which, _name} <- nodes, do: {which, for({^which, sample} <- rounds, do: sample)}
  end

  defp sequential(call, name, count) do
    for n <- 1..count do
      started = System.monotonic_time(:nanosecond)
      call.(name, n)
      System.monotonic_time(:nanosecond) - started
    end
  end

  defp together(call, name) do
    started = System.monotonic_time(:nanosecond)

    1..@callers
    |> Enum.map(fn _ -> Task.async(fn -> for n <- 1..@calls_each, do: call.(name, n) end) end)
    |> Enum.each(&Task.await(&1, :infinity))

    @callers * @calls_each * 1.0e9 / (System.monotonic_time(:nanosecond) - started)
  end

  # From the start of the process to the answer to a first call.
  defp start_time do
    times =
      for _ <- 1..10 do
        {microseconds, tenon} =
          :timer.tc(fn ->
            tenon = TenonNode.start()
            :started = GenServer.call({:echo, tenon.name}, :started)
            tenon
          end)

        Program.stop(tenon.program)
        microseconds / 1_000
      end

    line(
      "start_to_first_call",
      median(times),
      "ms",
      "median of 10, from exec of a shell that runs tenon"
    )
  end

  defp memory(tenon, small) do
    line("rss_after_start", small, "KiB", "connected, before any call")
    line("rss_after_calls", TenonNode.rss_kib(tenon), "KiB", "after #{calls_made()} calls")
    before = TenonNode.rss_kib(tenon)
    for _ <- 1..4, do: together(&genserver_call/2, tenon.name)

    line(
      "rss_growth",
      TenonNode.rss_kib(tenon) - before,
      "KiB",
      "#{4 * @callers * @calls_each} calls later"
    )
  end

  defp calls_made, do: 2 * (500 + @rounds * (@sequential + @callers * @calls_each))

  defp report(name, figures, unit, parameters) do
    for {which, figure} <- figures, do: line("#{name}_#{which}", figure, unit, parameters)
    line("#{name}_ratio", figures[:tenon] / figures[:beam], "", "tenon over beam")
  end
end

Bench.run()
