defmodule TenonHarness.Calls do
  @moduledoc """
  Many calls of one server: what `client.so` offers as `:client.repeat/4`, for a BEAM node.
  """

  @doc """
  `callers` processes call so often each, the server echoing.

  Gives how many calls were answered, the nanoseconds that all took together, and what one took: the
  median and the 99th percentile.
  """
  def repeat(to, request, callers, count) do
    started = System.monotonic_time(:nanosecond)

    times =
      1..callers
      |> Enum.map(fn _ -> Task.async(fn -> call_often(to, request, count) end) end)
      |> Enum.map(&Task.await(&1, :infinity))

    all = System.monotonic_time(:nanosecond) - started
    sorted = times |> Enum.concat() |> Enum.sort() |> List.to_tuple()
    answered = tuple_size(sorted)
    {answered, all, elem(sorted, div(answered, 2)), elem(sorted, div(answered * 99, 100))}
  end

  defp call_often(to, request, count) do
    for _ <- 1..count do
      started = System.monotonic_time(:nanosecond)
      ^request = GenServer.call(to, request)
      System.monotonic_time(:nanosecond) - started
    end
  end
end
