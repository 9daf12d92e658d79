defmodule TenonHarness.BeamNode.Control do
  @moduledoc false
  # The side of TenonHarness.BeamNode that runs on the node: reads requests as lines, writes replies as
  # lines, and halts when standard input closes, or when nobody reads standard output any more.

  def main do
    {:ok, _} = Application.ensure_all_started(:elixir)
    {:ok, _} = Application.ensure_all_started(:logger)
    spawn(&halt_after_serving/0)
  end

  defp halt_after_serving do
    {_pid, ref} = spawn_monitor(&serve/0)

    receive do
      {:DOWN, ^ref, :process, _pid, _reason} -> :erlang.halt(0, flush: false)
    end
  end

  defp serve do
    port = Port.open({:fd, 0, 1}, [:binary, :eof, {:line, 65_536}])
    reply(port, "@ready")
    loop(port, [])
  end

  defp loop(port, parts) do
    receive do
      {^port, {:data, {:noeol, part}}} ->
        loop(port, [parts, part])

      {^port, {:data, {:eol, part}}} ->
        [id, encoded] = String.split(IO.iodata_to_binary([parts, part]), " ")
        owner = self()
        spawn(fn -> send(owner, {:reply, id, run(encoded)}) end)
        loop(port, [])

      {:reply, id, result} ->
        reply(port, ["@", id, " ", Base.encode64(:erlang.term_to_binary(result))])
        loop(port, parts)

      {^port, :eof} ->
        :ok
    end
  end

  defp run(encoded) do
    {module, function, args} = :erlang.binary_to_term(Base.decode64!(encoded))
    {:returned, apply(module, function, args)}
  catch
    kind, reason -> {:failed, Exception.format(kind, reason, __STACKTRACE__)}
  end

  defp reply(port, line), do: Port.command(port, [line, "\n"])
end
