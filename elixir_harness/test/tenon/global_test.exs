defmodule TenonHarness.GlobalTest do
  use TenonHarness.NodeCase, async: true

  # What a lock or a sync costs with nobody in the way; a node that stays silent costs minutes.
  @fast_ms 4_000

  setup do
    tenon = start_tenon()
    peers = for _ <- 1..2, do: start_beam(partitions: true)
    [one, two] = peers
    assert on(one, name: two.name, do: Node.ping(name)) == :pong
    for peer <- peers, do: assert(on(peer, name: tenon.name, do: Node.ping(name)) == :pong)
    {:ok, tenon: tenon, one: one, two: two}
  end

  test "sync returns at once", %{one: one, two: two} do
    for peer <- [one, two] do
      assert {ms, :ok} = timed(on(peer, [], do: :timer.tc(fn -> :global.sync() end)))
      assert ms < @fast_ms
    end
  end

  test "locks and transactions are had at once", %{one: one} do
    {ms, result} =
      timed(
        on(one, []) do
          :timer.tc(fn ->
            lock = {:a_lock, self()}
            true = :global.set_lock(lock)
            true = :global.del_lock(lock)
            :global.trans({:another_lock, self()}, fn -> :done end)
          end)
        end
      )

    assert result == :done
    assert ms < @fast_ms
  end

  test "names are registered, found on the other node and unregistered", %{one: one, two: two} do
    name = {:a_name, Cluster.unique("n")}
    assert on(one, [], do: :global.sync()) == :ok

    {ms, pid} =
      timed(
        on(one, name: name) do
          :timer.tc(fn ->
            pid = Process.whereis(:init)
            :yes = :global.register_name(name, pid)
            pid
          end)
        end
      )

    assert ms < @fast_ms
    assert on(two, name: name, do: :global.whereis_name(name)) == pid
    on one, name: name, do: :global.unregister_name(name)
    assert on(two, name: name, do: :global.whereis_name(name)) == :undefined
  end

  # A BEAM node that loses one member of its cluster is cut off from all, to prevent overlapping
  # partitions; Tenon is no member of what :global keeps together.
  @tag :tenon_only
  test "losing the node disconnects no other", %{tenon: tenon, one: one, two: two} do
    assert on(one, name: tenon.name, do: Node.disconnect(name))
    assert on(one, [], do: :global.sync()) == :ok
    assert on(one, name: two.name, do: name in Node.list())
    assert on(two, name: tenon.name, do: name in Node.list())
    TenonNode.kill(tenon)

    on two, name: tenon.name do
      wait = fn wait -> if name in Node.list(), do: wait.(wait), else: :gone end
      wait.(wait)
    end

    assert on(two, name: one.name, do: name in Node.list())
    assert on(two, [], do: :global.sync()) == :ok
  end

  @tag :tenon_only
  test "a node that comes back is no obstacle", %{tenon: tenon, one: one} do
    for _ <- 1..3 do
      assert on(one, name: tenon.name, do: Node.disconnect(name))
      Wait.until("pong", 5_000, fn -> on(one, name: tenon.name, do: Node.ping(name)) == :pong end)
      assert on(one, [], do: :global.sync()) == :ok
    end
  end

  defp timed({microseconds, result}), do: {div(microseconds, 1_000), result}
end
