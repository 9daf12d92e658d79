defmodule TenonHarness.Program do
  @moduledoc """
  An operating-system process whose output lines are kept and can be waited for.

  It ends with this server: by `SIGTERM`, then by `SIGKILL` at a deadline; and the server ends with its
  owner, the process that started it. The program also ends when this virtual machine dies, however
  it dies.
  """

  use GenServer
  alias TenonHarness.Wait

  @line_bytes 65_536
  @stop_ms 3_000

  @typedoc "A server of this module."
  @type t :: pid

  @doc """
  Starts a program.

  Options: `:args`, `:env` (pairs of strings, or `false` to unset), `:stdin` (`:guarded` by default,
  or `:own` for a program that reads its standard input and ends when it closes), `:cd`, `:owner`,
  `:stop_signal` (`:TERM` by default).
  """
  def start(executable, opts) do
    GenServer.start(__MODULE__, {executable, Keyword.put_new(opts, :owner, self())})
  end

  @doc "The operating system's process id."
  def os_pid(program), do: Wait.call(program, :os_pid)

  @doc "All lines so far."
  def lines(program), do: Wait.call(program, :lines)

  @doc "The number of lines so far: `await/4` looks only at what comes after it."
  def mark(program), do: Wait.call(program, :mark)

  @doc "Writes a line to the program's standard input."
  def command(program, line), do: GenServer.cast(program, {:command, line})

  @doc "The first true result of `fun` for a line after `mark`, or an error after `timeout_ms`."
  def await(program, what, timeout_ms, mark \\ 0, fun) do
    case GenServer.call(program, {:await, fun, timeout_ms, mark}, :infinity) do
      {:ok, result} ->
        result

      {:error, why, lines} ->
        raise "waited for #{what}: #{why}. Output:\n" <> Enum.join(lines, "\n")
    end
  end

  @doc "The exit status, 128 + signal for a program that was killed."
  def await_exit(program, timeout_ms \\ Wait.deadline_ms()) do
    case GenServer.call(program, {:await_exit, timeout_ms}, :infinity) do
      {:ok, status} -> status
      {:error, lines} -> raise "no exit in #{timeout_ms} ms. Output:\n" <> Enum.join(lines, "\n")
    end
  end

  @doc "Sends a signal, for example `:TERM`."
  def signal(program, name), do: kill(os_pid(program), name)

  @doc "Ends the program and this server."
  def stop(program) do
    ref = Process.monitor(program)
    send(program, :stop)

    receive do
      {:DOWN, ^ref, :process, ^program, _reason} -> :ok
    end
  end

  @impl GenServer
  def init({executable, opts}) do
    Process.flag(:trap_exit, true)
    Process.monitor(opts[:owner])
    args = Keyword.get(opts, :args, [])
    own_stdin? = opts[:stdin] == :own
    guard = Path.join(:code.priv_dir(:tenon_harness), "guard.sh")

    {file, args} =
      if own_stdin?, do: {executable, args}, else: {"/bin/sh", [guard, executable | args]}

    port =
      Port.open({:spawn_executable, to_charlist(file)}, [
        :binary,
        :exit_status,
        :stderr_to_stdout,
        {:line, @line_bytes},
        {:args, args},
        {:env, env(Keyword.get(opts, :env, []))},
        {:cd, to_charlist(Keyword.get(opts, :cd, "."))}
      ])

    {:os_pid, shell_pid} = Port.info(port, :os_pid)
    os_pid = if own_stdin?, do: shell_pid, else: program_pid(port)

    {:ok,
     %{
       port: port,
       os_pid: os_pid,
       lines: [],
       count: 0,
       partial: "",
       waiters: %{},
       exit_waiters: %{},
       status: nil,
       stop_signal: Keyword.get(opts, :stop_signal, :TERM)
     }}
  end

  @impl GenServer
  def handle_call(:os_pid, _from, state), do: {:reply, state.os_pid, state}
  def handle_call(:lines, _from, state), do: {:reply, Enum.reverse(state.lines), state}
  def handle_call(:mark, _from, state), do: {:reply, state.count, state}

  def handle_call({:await, fun, timeout_ms, mark}, from, state) do
    new = state.lines |> Enum.take(max(state.count - mark, 0)) |> Enum.reverse()

    case {Enum.find_value(new, fun), state.status} do
      {nil, nil} ->
        timer = Process.send_after(self(), {:timeout, from, timeout_ms}, timeout_ms)
        {:noreply, put_in(state.waiters[from], {fun, timer})}

      {nil, status} ->
        {:reply, {:error, "the program has ended with status #{status}", new}, state}

      {result, _status} ->
        {:reply, {:ok, result}, state}
    end
  end

  def handle_call({:await_exit, timeout_ms}, from, %{status: nil} = state) do
    timer = Process.send_after(self(), {:exit_timeout, from}, timeout_ms)
    {:noreply, put_in(state.exit_waiters[from], timer)}
  end

  def handle_call({:await_exit, _timeout_ms}, _from, state),
    do: {:reply, {:ok, state.status}, state}

  @impl GenServer
  def handle_cast({:command, line}, %{status: nil} = state) do
    Port.command(state.port, [line, "\n"])
    {:noreply, state}
  end

  def handle_cast({:command, _line}, state), do: {:noreply, state}

  @impl GenServer
  def handle_info({port, {:data, {:noeol, part}}}, %{port: port} = state),
    do: {:noreply, %{state | partial: state.partial <> part}}

  def handle_info({port, {:data, {:eol, part}}}, %{port: port} = state) do
    line = state.partial <> part
    state = %{state | partial: "", lines: [line | state.lines], count: state.count + 1}
    {:noreply, %{state | waiters: answer_waiters(state.waiters, line)}}
  end

  def handle_info({port, {:exit_status, status}}, %{port: port} = state) do
    for {from, {_fun, timer}} <- state.waiters do
      Process.cancel_timer(timer)
      why = "the program has ended with status #{status}"
      GenServer.reply(from, {:error, why, Enum.reverse(state.lines)})
    end

    for {from, timer} <- state.exit_waiters do
      Process.cancel_timer(timer)
      GenServer.reply(from, {:ok, status})
    end

    {:noreply, %{state | status: status, waiters: %{}, exit_waiters: %{}}}
  end

  def handle_info({:timeout, from, timeout_ms}, state) do
    if Map.has_key?(state.waiters, from) do
      why = "nothing in #{timeout_ms} ms"
      GenServer.reply(from, {:error, why, Enum.reverse(state.lines)})
    end

    {:noreply, %{state | waiters: Map.delete(state.waiters, from)}}
  end

  def handle_info({:exit_timeout, from}, state) do
    if Map.has_key?(state.exit_waiters, from) do
      GenServer.reply(from, {:error, Enum.reverse(state.lines)})
    end

    {:noreply, %{state | exit_waiters: Map.delete(state.exit_waiters, from)}}
  end

  def handle_info(:stop, state), do: {:stop, :normal, state}
  def handle_info({:DOWN, _ref, :process, _owner, _reason}, state), do: {:stop, :normal, state}
  def handle_info({:EXIT, _port, _reason}, state), do: {:noreply, state}

  @impl GenServer
  def terminate(_reason, %{status: nil, port: port} = state) do
    kill(state.os_pid, state.stop_signal)
    kill(state.os_pid, :CONT)

    receive do
      {^port, {:exit_status, _status}} -> :ok
    after
      @stop_ms -> kill(state.os_pid, :KILL)
    end
  end

  def terminate(_reason, _state), do: :ok

  defp program_pid(port) do
    receive do
      {^port, {:data, {:eol, "pid " <> digits}}} -> String.to_integer(digits)
    after
      Wait.deadline_ms() -> raise "the guard did not name the program's process id"
    end
  end

  defp answer_waiters(waiters, line) do
    for {from, {fun, timer}} <- waiters, not answered?(from, fun.(line), timer), into: %{} do
      {from, {fun, timer}}
    end
  end

  defp answered?(_from, result, _timer) when result in [nil, false], do: false

  defp answered?(from, result, timer) do
    Process.cancel_timer(timer)
    GenServer.reply(from, {:ok, result})
    true
  end

  defp env(pairs) do
    for {name, value} <- pairs do
      {to_charlist(name), if(value == false, do: false, else: to_charlist(value))}
    end
  end

  # The shell's own kill: the program of that name is not installed everywhere.
  defp kill(os_pid, signal) do
    System.cmd("/bin/sh", ["-c", "kill -#{signal} #{os_pid}"], stderr_to_stdout: true)
    :ok
  end
end
