defmodule TenonHarness.OrderTest do
  use TenonHarness.NodeCase, async: true

  setup_all do
    tenon = start_connected_tenon()
    {:ok, name: tenon.name}
  end

  @count 20_000

  test "messages of one process to another keep their order", %{name: name} do
    for n <- 1..@count, do: GenServer.cast({:echo, name}, {self(), n})
    assert receive_in_order(1) == @count
  end

  test "messages of many processes keep the order of each", %{name: name} do
    1..8
    |> Enum.map(fn _ ->
      Task.async(fn ->
        for n <- 1..2_000, do: GenServer.cast({:echo, name}, {self(), n})
        for n <- 1..2_000, do: assert_receive(^n)
      end)
    end)
    |> Enum.each(&Wait.await(&1))
  end

  test "a call comes after the casts before it", %{name: name} do
    for round <- 1..200 do
      for n <- 1..10, do: GenServer.cast({:echo, name}, {self(), {round, n}})
      assert Wait.call({:echo, name}, round) == round
      for n <- 1..10, do: assert_received({^round, ^n})
    end
  end

  test "an exit signal does not overtake the messages before it", %{name: name} do
    for n <- 1..100 do
      {pid, ref} = :erlang.spawn_monitor(name, :demo, :exit, [n])
      assert_receive {:DOWN, ^ref, :process, ^pid, ^n}
    end
  end

  test "large and small messages keep their order", %{name: name} do
    large = :binary.copy(<<1>>, 300_000)

    for n <- 1..50 do
      GenServer.cast({:echo, name}, {self(), {n, large}})
      GenServer.cast({:echo, name}, {self(), {n, :small}})
    end

    for n <- 1..50 do
      assert_receive {^n, first}
      assert first == large
      assert_receive {^n, :small}
    end
  end

  defp receive_in_order(n) when n > @count, do: @count

  defp receive_in_order(expected) do
    receive do
      n when is_integer(n) -> if n == expected, do: receive_in_order(n + 1), else: {expected, n}
    after
      @timeout -> {:missing, expected}
    end
  end
end
