# SPDX-License-Identifier: Apache-2.0
# Each line: name, value, unit, parameters. Providers are measured in turns, so that what the machine does
# besides falls on both; "ratio" is Tenon's figure over the BEAM node's. The lines of CPU say who was busy:
# the rate cannot be higher than one over the sum of what both sides need on the machine's cores.

defmodule X3mBench do
  import Bench.Figures
  alias TenonHarness.{BeamNode, Cluster, Program, Services, TenonNode}
  alias X3m.System.Message

  @rounds 5
  @sequential 2_000
  @callers 64
  @calls_each 150
  # As /proc counts it.
  @ticks_per_s 100

  def run do
    Cluster.join!()
    IO.puts("#{System.schedulers_online()} cores, OTP #{System.otp_release()}")
    for generation <- Services.generations(), do: measure(generation)
  end

  defp measure(generation) do
    tenon = TenonNode.start(probe: true)
    beam = BeamNode.start(x3m: generation)
    caller = BeamNode.start(x3m: generation)
    :ok = BeamNode.call(beam, TenonHarness.BeamRouter, :register_services, [])
    for node <- [tenon, beam], do: true = BeamNode.call(caller, Node, :connect, [node.name])
    true = BeamNode.call(beam, Node, :connect, [tenon.name])
    services = [tenon: {:c_echo, tenon}, beam: {:e_echo, beam}]

    for {_, {service, node}} <- services,
        do: Services.await_providers(caller, service, [node.name])

    for {how, callers, each} <- [
          {"sequential", 1, @sequential},
          {"64_callers", @callers, @calls_each}
        ] do
      from_elixir("x3m_#{generation}_#{how}", caller, services, callers, each)
      from_c("x3m_#{generation}_#{how}_from_c", tenon, beam, callers, each)
    end

    for node <- [tenon, beam, caller], do: Program.stop(node.program)
  end

  defp from_elixir(name, caller, services, callers, each) do
    samples =
      for round <- 0..@rounds, {which, {service, provider}} <- services do
        ends = [caller: caller, provider: provider]

        sample =
          timed(ends, callers * each, fn ->
            BeamNode.call(caller, Services, :dispatch_often, [service, callers, each], 120_000)
          end)

        {round, which, sample}
      end

    rates = for {which, _} <- services, do: {which, report("#{name}_#{which}", samples, which)}
    line("#{name}_ratio", rates[:tenon] / rates[:beam], "", "tenon over beam")
  end

  defp from_c(name, tenon, beam, callers, each) do
    samples =
      for round <- 0..@rounds do
        ends = [caller: tenon, provider: beam]

        args = [
          tenon.name,
          :probe,
          :repeat,
          [Message.new(:e_echo, raw_request: 1), callers, each]
        ]

        sample =
          timed(ends, callers * each, fn ->
            true = callers * each == BeamNode.call(beam, :rpc, :call, args, 120_000)
          end)

        {round, :c, sample}
      end

    report(name, samples, :c)
  end

  # Dispatches per second, and the microseconds of CPU that each took at either end.
  defp timed(ends, count, fun) do
    before = for {which, node} <- ends, do: {which, ticks(node)}
    {microseconds, _} = :timer.tc(fun)

    cpu =
      for {which, node} <- ends do
        {which, (ticks(node) - before[which]) * 1.0e6 / @ticks_per_s / count}
      end

    {count * 1.0e6 / microseconds, cpu}
  end

  defp ticks(node) do
    stat = File.read!("/proc/#{Program.os_pid(node.program)}/stat")
    [_, after_name] = String.split(stat, ") ", parts: 2)
    fields = String.split(after_name)
    String.to_integer(Enum.at(fields, 11)) + String.to_integer(Enum.at(fields, 12))
  end

  # The first round warms up.
  defp report(name, samples, which) do
    {rates, cpus} = Enum.unzip(for {round, ^which, sample} <- samples, round > 0, do: sample)
    rate = median(rates)
    line("#{name}_rate", rate, "disp/s", "median of #{@rounds}")

    for side <- [:caller, :provider] do
      line(
        "#{name}_cpu_#{side}",
        median(Enum.map(cpus, & &1[side])),
        "us",
        "CPU of each dispatch"
      )
    end

    rate
  end
end

X3mBench.run()
