defmodule TenonHarness.TicksTest do
  use TenonHarness.NodeCase, async: true

  # A peer with this tick time drops a node that it has heard nothing of for 4 to 5 seconds.
  @ticktime_s 4
  @idle_ms 7_000

  # All of them at once, because each needs its seven seconds.
  setup_all do
    pairs = for load <- [:idle, :handlers, :calls, :only_sends], do: {load, connected()}
    for {load, {tenon, peer}} <- pairs, do: put_load(load, peer, tenon.name)

    fates =
      pairs
      |> Enum.map(fn {load, {tenon, peer}} ->
        {load, Task.async(fn -> fate_of(peer, tenon.name) end)}
      end)
      |> Enum.map(fn {load, task} -> {load, Task.await(task, 30_000)} end)

    {:ok, fates: fates}
  end

  describe "with a peer of a short net_ticktime" do
    test "an idle connection stays up", %{fates: fates} do
      assert fates[:idle] == :connected
    end

    test "a connection with many handlers busy stays up", %{fates: fates} do
      assert fates[:handlers] == :connected
    end

    test "a connection busy both ways stays up", %{fates: fates} do
      assert fates[:calls] == :connected
    end

    # A peer that has something to send sends no ticks that could be answered.
    test "a connection on which only the peer sends stays up", %{fates: fates} do
      assert fates[:only_sends] == :connected
    end

    test "a peer that is stopped is found dead" do
      {tenon, peer} = connected()
      Program.signal(peer.program, :STOP)
      down = TenonNode.await_event(tenon, :peer_down, [node: peer.name], timeout_ms: 10_000)
      assert down["reason"] != ""
    end

    test "a stopped process is found dead" do
      {tenon, peer} = connected()
      Program.signal(tenon.program, :STOP)

      fate =
        on peer, name: tenon.name do
          :ok = :net_kernel.monitor_nodes(true, [:nodedown_reason])

          receive do
            {:nodedown, ^name, _info} -> :found_dead
          after
            10_000 -> :still_up
          end
        end

      assert fate == :found_dead
      Program.signal(tenon.program, :CONT)
      assert Node.ping(tenon.name) == :pong
    end
  end

  defp connected do
    tenon = start_tenon(ticktime_s: @ticktime_s)
    peer = start_beam(ticktime_s: @ticktime_s)
    assert on(peer, name: tenon.name, do: Node.ping(name)) == :pong
    {tenon, peer}
  end

  defp put_load(:idle, _peer, _name), do: :ok

  defp put_load(:handlers, peer, name) do
    on peer, name: name, ms: @idle_ms + 3_000 do
      for _ <- 1..50, do: Node.spawn(name, :demo, :sleep, [ms])
    end
  end

  defp put_load(:calls, peer, name) do
    on peer, name: name do
      spawn(fn ->
        call = fn call -> GenServer.call({:echo, name}, :busy) && call.(call) end
        call.(call)
      end)
    end
  end

  defp put_load(:only_sends, peer, name) do
    on peer, name: name do
      spawn(fn ->
        send_on = fn send_on ->
          send({:nobody_has_this_name, name}, :hello)

          receive do
          after
            100 -> send_on.(send_on)
          end
        end

        send_on.(send_on)
      end)
    end
  end

  # Listens for the whole time in which the peer would have given up.
  defp fate_of(peer, name) do
    on peer, name: name, ms: @idle_ms do
      :ok = :net_kernel.monitor_nodes(true, node_type: :all)

      receive do
        {:nodedown, ^name, _info} -> :lost
      after
        ms -> if name in Node.list(), do: :connected, else: :lost
      end
    end
  end
end
