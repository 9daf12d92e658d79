defmodule TenonHarness.Wait do
  @moduledoc """
  How long is waited at most; and waiting for what tells nobody that it has happened.
  """

  @look_again_ms 10
  @deadline_ms 60_000

  @doc """
  What anything is waited for at most. Far above what it takes on a machine with too much to do: it is
  only used up by a failure.
  """
  def deadline_ms, do: @deadline_ms

  @doc "`GenServer.call/3` with that deadline in place of 5 seconds."
  def call(server, request), do: GenServer.call(server, request, @deadline_ms)

  @doc "`Task.await/2` likewise."
  def await(task), do: Task.await(task, @deadline_ms)

  @doc """
  A monitor of a process of this node that is there on return. `Process.monitor/1` may leave its signal for
  later, and what another node makes of a message sent meanwhile can come before it: `:noproc` is the reason then.
  """
  def monitor(pid) when node(pid) == node() do
    ref = Process.monitor(pid)
    _ = Process.info(pid, :status)
    ref
  end

  @doc "The first true result of `fun`; an error after `timeout_ms`."
  def until(what, timeout_ms \\ @deadline_ms, fun) do
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
