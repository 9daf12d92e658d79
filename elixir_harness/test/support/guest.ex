defmodule TenonHarness.Guest do
  @moduledoc """
  What a guest of a node with rules tries, on its own node.
  """

  alias TenonHarness.Services

  def rpc(c, {m, f, a}), do: :rpc.call(c, m, f, a)

  def erpc(c, {m, f, a}) do
    {:returned, :erpc.call(c, m, f, a)}
  catch
    class, reason -> {class, reason}
  end

  def monitored(c, {m, f, a}) do
    {_pid, ref} = :erlang.spawn_opt(c, m, f, a, [:monitor])
    receive do: ({:DOWN, ^ref, :process, _, reason} -> reason)
  end

  def down(target) do
    ref = Process.monitor(target)
    receive do: ({:DOWN, ^ref, :process, _, reason} -> reason)
  end

  def call(server, request) do
    {:replied, GenServer.call(server, request)}
  catch
    :exit, {reason, {GenServer, :call, _}} -> {:exit, reason}
  end

  def linked(pid) do
    Process.flag(:trap_exit, true)
    Process.link(pid)
    receive do: ({:EXIT, ^pid, reason} -> reason)
  end

  def task(tasks, {m, f, a}) do
    Process.flag(:trap_exit, true)
    Task.yield(Task.Supervisor.async_nolink(tasks, m, f, a), 10_000)
  end

  @doc "To rex without gen_server, as old programs do."
  def plain_rex(c, request) do
    send({:rex, c}, {self(), request})

    receive do
      {:rex, ^c, answer} -> answer
      {:rex, answer} -> answer
    end
  end

  @doc "The response to a message that another router has forwarded."
  def forwarded(c, service, raw_request) do
    message = %{Services.message(service, raw_request, []) | reply_to: self()}
    :ok = :rpc.call(c, Other.Router, :_invoke, [:local, Demo.Router, service, message])
    %{id: id} = message
    receive do: (%{id: ^id, response: response} -> response)
  end
end
