defmodule TenonHarness.MemoryTest do
  use TenonHarness.NodeCase, async: true

  @moduletag :proc

  # A sanitizer (TENON_SAN names it) is slow and keeps what was freed: then the same is done less often and
  # only has to work.
  @sanitized System.get_env("TENON_SAN") not in [nil, ""]
  @count String.to_integer(
           System.get_env("TENON_SOAK") || if(@sanitized, do: "20000", else: "1000000")
         )
  @calls min(@count, 100_000)
  @slack_kib 1_024
  @rounds 4
  # What OpenSSL keeps of a configuration and of a connection comes on top.
  @limit_kib if(Carrier.tls?(), do: 6_144, else: 3_072)

  setup do
    tenon = start_connected_tenon()
    {:ok, tenon: tenon, name: tenon.name}
  end

  @tag :tenon_only
  @tag :not_sanitized
  test "a node that has started is small", %{tenon: tenon} do
    assert Wait.call({:echo, tenon.name}, 1) == 1
    assert TenonNode.anonymous_kib(tenon) < @limit_kib
  end

  test "#{@calls} calls leave nothing behind", %{tenon: tenon, name: name} do
    assert_same_memory(tenon, @calls, fn count ->
      1..8
      |> Enum.map(fn _ -> Task.async(fn -> call(name, div(count, 8)) end) end)
      |> Enum.each(&Task.await(&1, :infinity))
    end)
  end

  test "#{div(@calls, 4)} rpc calls leave nothing behind", %{tenon: tenon, name: name} do
    assert_same_memory(tenon, div(@calls, 4), fn count ->
      1..8
      |> Enum.map(fn _ -> Task.async(fn -> rpc(name, div(count, 8)) end) end)
      |> Enum.each(&Task.await(&1, :infinity))
    end)
  end

  test "#{div(@calls, 10)} tasks leave nothing behind", %{tenon: tenon, name: name} do
    assert_same_memory(tenon, div(@calls, 10), fn count ->
      results =
        {Demo.Tasks, name}
        |> Task.Supervisor.async_stream(1..count, :demo, :echo, [], timeout: @timeout)
        |> Enum.count(&match?({:ok, _}, &1))

      assert results == count
      Wait.until("the ends", fn -> Task.Supervisor.children({Demo.Tasks, name}) == [] end)
    end)
  end

  test "#{@count} monitors and demonitors leave nothing behind", %{tenon: tenon, name: name} do
    pid = Node.spawn(name, :demo, :sleep, [:timer.hours(1)])

    assert_same_memory(tenon, @count, fn count ->
      monitor(pid, count)
      assert Wait.call({:echo, name}, :drained) == :drained
    end)
  end

  test "#{div(@count, 4)} monitors by name leave nothing behind", %{tenon: tenon, name: name} do
    assert_same_memory(tenon, div(@count, 4), fn count ->
      monitor({:echo, name}, count)
      assert Wait.call({:echo, name}, :drained) == :drained
    end)
  end

  test "#{@count} links and unlinks leave nothing behind", %{tenon: tenon, name: name} do
    pid = Node.spawn(name, :demo, :sleep, [:timer.hours(1)])

    # In parts: a node that only sends would have all the acknowledgements wait for it at once.
    assert_same_memory(tenon, @count, fn count ->
      for part <- parts(count, 50_000) do
        link(pid, part)
        assert Wait.call({:echo, name}, :drained) == :drained
      end
    end)
  end

  test "a thousand connections that come and go leave nothing behind", %{tenon: tenon} do
    assert_same_memory(tenon, min(@count, 1_000), fn count ->
      for _ <- 1..count do
        {:ok, raw} = RawPeer.connect(tenon)
        RawPeer.close(raw)
      end

      assert Wait.call({:echo, tenon.name}, :drained) == :drained
    end)
  end

  # The first part lets the allocator reach its level; then it must stay there. How much waits at a time
  # hangs on what else the machine does, so that the level may be reached late: what leaks grows each time.
  defp assert_same_memory(tenon, count, fun) do
    fun.(div(count, 5))
    rounds = if TenonNode.beam?() or @sanitized, do: 1, else: @rounds
    grown = grown_by(tenon, fn -> fun.(count) end, rounds)

    unless TenonNode.beam?() or @sanitized do
      assert hd(grown) < @slack_kib, "grown by #{inspect(grown)} KiB, latest first, with #{count}"
    end
  end

  # KiB by which each round has grown it, up to the first that has not.
  defp grown_by(tenon, fun, rounds, grown \\ [])
  defp grown_by(_tenon, _fun, 0, grown), do: grown
  defp grown_by(_tenon, _fun, _rounds, [last | _] = grown) when last < @slack_kib, do: grown

  defp grown_by(tenon, fun, rounds, grown) do
    before = TenonNode.rss_kib(tenon)
    fun.()
    grown_by(tenon, fun, rounds - 1, [TenonNode.rss_kib(tenon) - before | grown])
  end

  defp parts(count, most) when count <= most, do: [count]
  defp parts(count, most), do: [most | parts(count - most, most)]

  defp call(_name, 0), do: :ok

  defp call(name, n) do
    ^n = Wait.call({:echo, name}, n)
    call(name, n - 1)
  end

  defp rpc(_name, 0), do: :ok

  defp rpc(name, n) do
    ^n = :rpc.call(name, :demo, :echo, [n])
    rpc(name, n - 1)
  end

  defp monitor(_target, 0), do: :ok

  defp monitor(target, n) do
    Process.demonitor(Process.monitor(target))
    monitor(target, n - 1)
  end

  defp link(_pid, 0), do: :ok

  defp link(pid, n) do
    Process.link(pid)
    Process.unlink(pid)
    link(pid, n - 1)
  end
end
