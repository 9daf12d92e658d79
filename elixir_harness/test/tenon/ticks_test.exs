defmodule TenonHarness.TicksTest do
  use TenonHarness.NodeCase, async: true

  # A peer with this tick time drops a node that it has heard nothing of for 4 to 5 seconds.
  @ticktime_s 4
  @idle_ms 7_000
  # Who does not tick is lost each time; on a machine that stands still for seconds, anybody is sometimes.
  @tries 5

  # All of them at once, because each needs its seven seconds.
  setup_all do
    pairs = for load <- [:idle, :handlers, :calls, :only_sends], do: {load, connected()}

    fates =
      pairs
      |> Enum.map(fn {load, {tenon, peer}} ->
        {load, Task.async(fn -> fate_of(load, peer, tenon.name, @tries) end)}
      end)
      |> Enum.map(fn {load, task} -> {load, Task.await(task, :infinity)} end)

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
      down = TenonNode.await_event(tenon, :peer_down, node: peer.name)
      assert down["reason"] != ""
    end

    test "a stopped process is found dead" do
      {tenon, peer} = connected()
      Program.signal(tenon.program, :STOP)

      fate =
        on peer, name: tenon.name do
          :ok = :net_kernel.monitor_nodes(true, node_type: :all)

          # It may have been found before anybody listened.
          if name in Node.list() do
            receive do: ({:nodedown, ^name, _info} -> :found_dead)
          else
            :found_dead
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
    on peer, name: name, ms: 10 * @timeout do
      for _ <- 1..50, do: Node.spawn(name, :demo, :sleep, [ms])
    end
  end

  defp put_load(:calls, peer, name) do
    on peer, name: name do
      spawn(fn ->
        call = fn call -> Wait.call({:echo, name}, :busy) && call.(call) end
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

  defp fate_of(_load, _peer, _name, 0), do: :lost

  defp fate_of(load, peer, name, tries) do
    put_load(load, peer, name)

    case fate_of(peer, name) do
      :connected ->
        :connected

      :lost ->
        Wait.until("pong", fn -> on(peer, name: name, do: Node.ping(name)) == :pong end)
        fate_of(load, peer, name, tries - 1)
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
