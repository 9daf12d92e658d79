defmodule TenonHarness.ConnectAllTest do
  use TenonHarness.NodeCase, async: true
  import TenonHarness.Mesh

  setup do
    observer = start_beam(hidden: true)
    # Without :global, whose members connect by themselves.
    one = start_beam(erl: ["-connect_all", "false"])
    two = start_beam(erl: ["-connect_all", "false"])
    hidden = start_beam(hidden: true)
    for node <- [two, hidden], do: join(observer, one, node)
    [observer: observer, one: one, two: two, hidden: hidden]
  end

  @tag :tenon_only
  test "a node connects to all that its peers are connected with, but for hidden ones", context do
    %{observer: observer, one: one, two: two} = context
    tenon = start_tenon(mesh: true, args: ["--no-global"], connect: [one.name])
    await_nodes(observer, tenon, [one, two])

    # A node that comes later is found when anybody does.
    three = start_beam(erl: ["-connect_all", "false"])
    join(observer, three, two)
    four = start_beam(erl: ["-connect_all", "false"])
    join(observer, four, three)
    join(observer, four, tenon)
    await_nodes(observer, tenon, [one, two, three, four])
  end

  @tag :tenon_only
  test "a node that is hidden, or is not to look for others, connects to none", context do
    %{observer: observer, one: one, two: two} = context
    quiet = start_tenon(mesh: true, args: ["--no-global", "--no-connect-all"])
    hidden = start_tenon(mesh: true, hidden: true)
    asking = start_tenon(mesh: true, args: ["--no-global"])
    for node <- [quiet, hidden, asking], do: join(observer, one, node)
    # The last one is through with what the others do not do.
    await_nodes(observer, asking, [one, two, quiet])
    assert nodes(observer, quiet) == Enum.sort([one.name, asking.name])
    assert nodes(observer, hidden) == [one.name]
    refute hidden.name in nodes(observer, two)
    refute quiet.name in nodes(observer, two)
  end

  defp await_nodes(observer, node, others) do
    expected = others |> Enum.map(& &1.name) |> Enum.sort()

    Wait.until("#{node.name} to be connected with #{inspect(expected)}", fn ->
      nodes(observer, node) == expected
    end)
  end
end
