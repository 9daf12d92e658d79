defmodule TenonHarness.RegistrySafetyTest do
  use TenonHarness.NodeCase, async: true
  alias TenonHarness.{RegistryWitness, Services}

  # A BEAM's registry dies of a malformed message and takes its application along.
  @rounds 400

  @tag :tenon_only
  test "whatever C code registers, a registry gets nothing malformed" do
    seed = :rand.uniform(999_999)
    # Before the node connects, so that the first word is seen as well.
    {witness, peer} = {start_beam(), start_beam(x3m: :erpc)}
    name = Cluster.unique_node("c")
    :ok = BeamNode.call(witness, RegistryWitness, :start, [name])

    tenon = start_tenon(name: name, load: false, probe: true, connect: [witness.name, peer.name])
    registry = BeamNode.call(peer, Process, :whereis, [X3m.System.ServiceRegistry])
    expected = BeamNode.call(witness, RegistryWitness, :drive, [name, seed, @rounds], 60_000)
    assert map_size(expected) > 10, "seed #{seed}"

    Wait.until("all that was registered, seed #{seed}", fn ->
      seen(witness).offered == expected
    end)

    for service <- Map.keys(expected), do: Services.await_providers(peer, service, [name])
    Program.signal(tenon.program, :TERM)
    assert Program.await_exit(tenon.program) == 0
    Wait.until("the farewell, seed #{seed}", fn -> seen(witness).offered == %{} end)
    assert %{malformed: [], count: count} = seen(witness)
    assert count > 20
    assert BeamNode.call(peer, Process, :whereis, [X3m.System.ServiceRegistry]) == registry
  end

  defp seen(witness), do: BeamNode.call(witness, RegistryWitness, :seen, [])
end
