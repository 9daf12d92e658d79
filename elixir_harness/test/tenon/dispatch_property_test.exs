defmodule TenonHarness.DispatchPropertyTest do
  use TenonHarness.NodeCase, async: true
  alias TenonHarness.{DispatchProperty, Services}

  # TENON_DISPATCH_RUNS=10000 for many, TENON_DISPATCH_SEED for those of an earlier run.
  @runs String.to_integer(System.get_env("TENON_DISPATCH_RUNS") || "300")
  @timeout_ms 20 * @timeout + 1_000 * @runs

  @tag :erpc_library
  @tag timeout: @timeout_ms
  test "the C dispatcher replies what the Elixir one does, whatever is sent to whom" do
    seed = String.to_integer(System.get_env("TENON_DISPATCH_SEED") || "#{:rand.uniform(999_999)}")
    beams = for generation <- Services.generations(), do: start_beam(x3m: generation)
    provider = start_tenon(load: false, probe: true)
    caller = start_beam(x3m: :erpc)
    nodes = [provider.name | Enum.map(beams, & &1.name)]
    tenon = start_tenon(load: false, probe: true, connect: nodes)
    args = [seed, @runs, tenon.name, nodes]

    for node <- [tenon.name | nodes], do: true = BeamNode.call(caller, Node, :connect, [node])
    # To a node that connects later, one of 0.9.0 tells only what its last router offers.
    for beam <- beams, do: await_connected(beam, [caller.name, tenon.name])
    kinds = BeamNode.call(caller, DispatchProperty, :run, args, @timeout_ms)
    IO.puts("\n#{@runs} dispatches of seed #{seed}: #{inspect(kinds)}")
    assert kinds |> Map.values() |> Enum.sum() == @runs

    for kind <- [:dispatch, :failed, :several_refused, :nobody],
        do: assert(Map.has_key?(kinds, kind))
  end

  defp await_connected(beam, nodes) do
    Wait.until("#{beam.name} to be connected", fn ->
      nodes -- BeamNode.call(beam, Node, :list, []) == []
    end)
  end
end
