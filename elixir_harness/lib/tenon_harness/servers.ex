# The functions of servers.so as a BEAM module: what a BEAM node offers to compare with.
defmodule :servers do
  @moduledoc false
  alias TenonHarness.{Counter, Lasting}

  def start(name, n), do: GenServer.start(Counter, {nil, n}, Counter.named(name))
  def start_link(name, n), do: GenServer.start_link(Counter, {nil, n}, Counter.named(name))
  def start_link(parent, name, n), do: GenServer.start(Counter, {parent, n}, Counter.named(name))

  def double(n) when is_integer(n), do: 2 * n

  # Linked with its parent, which therefore has to last.
  def start_supervisor(name, strategy, max_restarts),
    do: Lasting.start(fn -> start_supervisor_link(name, strategy, max_restarts) end)

  def start_supervisor_link(name, strategy, max_restarts) do
    opts = [name: name, max_restarts: max_restarts, max_seconds: 60]

    if strategy == :dynamic,
      do: DynamicSupervisor.start_link([strategy: :one_for_one] ++ opts),
      else: Supervisor.start_link([], [strategy: strategy] ++ opts)
  end

  def stop(pid, reason), do: GenServer.stop(pid, reason, TenonHarness.Wait.deadline_ms())

  def mailbox(pid) do
    {box, ref} =
      spawn_monitor(fn ->
        Process.flag(:trap_exit, true)
        send(pid, {:mailbox, self()})
        receive do: (message -> exit({:message, message}))
      end)

    receive do
      {:DOWN, ^ref, :process, ^box, {:message, message}} -> message
      {:DOWN, ^ref, :process, ^box, _reason} -> :ended
    end
  end

  def refuse(reason), do: {:error, reason}
  def ignore, do: :ignore
end

defmodule TenonHarness.Lasting do
  @moduledoc "A process that starts another and then stays."

  def start(fun) do
    caller = self()
    ref = make_ref()

    spawn(fn ->
      send(caller, {ref, fun.()})
      :demo.sleep(:infinity)
    end)

    receive do
      {^ref, result} -> result
    end
  end
end

defmodule TenonHarness.Counter do
  @moduledoc "The server of servers.so as a BEAM process."
  use GenServer

  def named(nil), do: []
  def named(name), do: [name: name]

  @impl GenServer
  def init({parent, n}) do
    if parent, do: Process.link(parent)
    {:ok, n}
  end

  @impl GenServer
  def handle_call(:get, _from, n), do: {:reply, n, n}
  def handle_call({:add, by}, _from, n), do: {:reply, n + by, n + by}

  def handle_call({:watch, pid}, _from, n) do
    Process.put(:watcher, pid)
    {:reply, :ok, n}
  end

  def handle_call({:trap_exit, trap?}, _from, n) do
    Process.flag(:trap_exit, trap?)
    {:reply, :ok, n}
  end

  def handle_call({:link, pid}, _from, n) do
    Process.link(pid)
    {:reply, :ok, n}
  end

  def handle_call({:continue, what}, _from, n), do: {:reply, :first, n, {:continue, what}}

  def handle_call({:hand_on, pid}, from, n) do
    send(pid, {:from, from})
    {:noreply, n}
  end

  def handle_call({:alias, mode}, _from, n) do
    opts = if mode == :reply, do: [:reply], else: [:explicit_unalias]
    {:reply, apply(:erlang, :alias, [opts]), n}
  end

  def handle_call({:unalias, ref}, _from, n), do: {:reply, apply(:erlang, :unalias, [ref]), n}
  def handle_call({:exit, reason}, _from, _n), do: exit(reason)

  @impl GenServer
  def handle_cast({:add, by}, n), do: {:noreply, n + by}
  def handle_cast({:timeout, ms}, n), do: {:noreply, n, ms}
  def handle_cast({:stop, reason}, n), do: {:stop, reason, n}

  def handle_cast({:reply, from, value}, n) do
    GenServer.reply(from, value)
    {:noreply, n}
  end

  def handle_cast({:exit, pid, reason}, n) do
    Process.exit(pid, reason)
    {:noreply, n}
  end

  def handle_cast({:send, ref, message}, n) do
    send(ref, message)
    {:noreply, n}
  end

  def handle_cast({:call, server, request}, n) do
    ref = apply(:erlang, :monitor, [:process, server, [alias: :reply_demonitor]])
    send(server, {:"$gen_call", {self(), [:alias | ref]}, request})
    {:noreply, n}
  end

  @impl GenServer
  def handle_info(message, n) do
    tell(message)
    {:noreply, n}
  end

  @impl GenServer
  def handle_continue(what, n) do
    tell({:continued, what})
    {:noreply, n}
  end

  defp tell(message) do
    if watcher = Process.get(:watcher), do: send(watcher, message)
  end
end
