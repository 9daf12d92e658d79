defmodule TenonHarness.Wait do
  @moduledoc """
  Waiting for what tells nobody that it has happened.
  """

  @look_again_ms 10

  @doc "The first true result of `fun`; an error after `timeout_ms`."
  def until(what, timeout_ms \\ 5_000, fun) do
    until_deadline(what, fun, System.monotonic_time(:millisecond) + timeout_ms)
  end

  defp until_deadline(what, fun, deadline) do
    case fun.() do
      result when result in [nil, false] ->
        if System.monotonic_time(:millisecond) > deadline,
          do: raise("gave up waiting for #{what}")

        receive do
        after
          @look_again_ms -> until_deadline(what, fun, deadline)
        end

      result ->
        result
    end
  end
end
