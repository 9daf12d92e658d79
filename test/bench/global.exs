# SPDX-License-Identifier: Apache-2.0
# Each line: name, value, unit, parameters. One mesh of BEAM nodes is measured in turns: as it is, with a Tenon
# node that has joined it, and with a further BEAM node; so that what the machine does besides falls on all.
# The figures are those of the least disturbed round, of 300 operations the median; a line "ratio" is the figure
# with the Tenon node over the other that it names.

defmodule GlobalBench do
  import TenonHarness.BeamNode, only: [on: 2, on: 3]
  import Bench.Figures, only: [line: 4]
  alias TenonHarness.{BeamNode, Cluster, Program, TenonNode, Wait}

  @mesh 3
  @rounds 7
  @each 300
  @guests [:alone, :tenon, :beam]

  def run do
    Cluster.join!()
    mesh = for _ <- 1..@mesh, do: BeamNode.start(partitions: true)
    for node <- mesh, do: connect(node, mesh)
    await(mesh, names(mesh))
    rounds = for _ <- 0..@rounds, guest <- @guests, do: {guest, with_guest(guest, mesh)}
    # The first round warms up.
    rounds = Enum.drop(rounds, length(@guests))
    for operation <- [:join, :sync, :set_lock, :trans], do: report(operation, rounds)
    for node <- mesh, do: Program.stop(node.program)
  end

  defp with_guest(:alone, mesh), do: measure(hd(mesh))

  defp with_guest(kind, mesh) do
    guest = start(kind)
    join = join(hd(mesh), guest)
    await(mesh, [guest.name | names(mesh)])
    figures = measure(hd(mesh))
    Program.stop(guest.program)
    await(mesh, names(mesh))
    [{:join, join} | figures]
  end

  defp start(:tenon), do: TenonNode.start(mesh: true)
  defp start(:beam), do: BeamNode.start(partitions: true)

  # Microseconds until a node that was not connected has the same names.
  defp join(node, guest) do
    on(node, guest: guest.name) do
      {microseconds, :ok} =
        :timer.tc(fn ->
          true = Node.connect(guest)
          :global.sync()
        end)

      microseconds
    end
  end

  defp connect(node, mesh) do
    on(node, names: names(mesh), do: for(name <- names, do: true = Node.connect(name)))
  end

  defp names(mesh), do: for(node <- mesh, do: node.name)

  # Until each knows all others as members, and none else.
  defp await(mesh, names) do
    for node <- mesh do
      others = names |> List.delete(node.name) |> Enum.sort()

      Wait.until("the members at #{node.name}", fn ->
        on(node, [], do: Enum.sort(:gen_server.call(:global_name_server, :get_synced))) == others
      end)
    end
  end

  # Microseconds, the median; all nodes take part in each, which is the default.
  defp measure(node) do
    on(node, each: @each) do
      median = fn run ->
        times =
          for _ <- 1..each do
            started = System.monotonic_time(:nanosecond)
            run.()
            System.monotonic_time(:nanosecond) - started
          end

        Enum.at(Enum.sort(times), div(each, 2)) / 1_000
      end

      lock = {:a_lock, self()}

      [
        sync: median.(fn -> :ok = :global.sync() end),
        set_lock:
          median.(fn ->
            true = :global.set_lock(lock)
            true = :global.del_lock(lock)
          end),
        trans: median.(fn -> :done = :global.trans(lock, fn -> :done end) end)
      ]
    end
  end

  defp report(operation, rounds) do
    guests = for guest <- @guests, operation != :join or guest != :alone, do: guest
    each = if operation == :join, do: "#{@rounds} times", else: "#{@rounds} x #{@each}"

    figures =
      for guest <- guests do
        figure = Enum.min(for {^guest, figures} <- rounds, do: figures[operation])
        name = "global_#{operation}_#{with_name(guest)}"
        line(name, figure, "us", "#{@mesh} BEAM nodes, #{each}")
        {guest, figure}
      end

    for other <- guests -- [:tenon] do
      name = "global_#{operation}_ratio_to_#{with_name(other)}"
      line(name, figures[:tenon] / figures[other], "", "")
    end
  end

  defp with_name(:alone), do: "alone"
  defp with_name(guest), do: "with_#{guest}"
end

GlobalBench.run()
