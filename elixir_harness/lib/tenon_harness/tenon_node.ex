defmodule TenonHarness.TenonNode do
  @moduledoc """
  A running `tenon run` with `demo.so`, as an operating-system process.

  With `TENON_PEER=beam` a BEAM node that offers the same takes its place, so that what the tests
  expect can be compared with what a BEAM node does.
  """

  alias TenonHarness.{BeamNode, BeamStandIn, Carrier, Cluster, Log, Program, Wait}

  defstruct [:name, :program, :port]

  @doc "Whether a BEAM node stands in for Tenon."
  def beam?, do: System.get_env("TENON_PEER") == "beam"

  @doc "The `tenon` command."
  def executable, do: path("TENON_BIN", "../priv/bin/tenon")

  @doc "The handler library that the tests use."
  def demo_so, do: path("TENON_DEMO_SO", "../priv/handlers/demo.so")

  @doc "The handler library with which tests make a node dispatch and register what they like."
  def probe_so, do: path("TENON_LIVE_SO", "../priv/handlers/probe.so")

  @doc "The handler library with which tests make a node call and start tasks elsewhere; beside `probe.so`."
  def client_so, do: Path.join(Path.dirname(probe_so()), "client.so")

  @doc "The handler library with servers and supervisors."
  def servers_so, do: probe_so() |> Path.dirname() |> Path.join("servers.so")

  @doc """
  Starts a node and waits until it is ready.

  Options: `:name` (a full name, or one without its host), `:cookie`, `:hidden`, `:connect` (a list of nodes),
  `:env`, `:load` (false for a node without `demo.so`), `:probe` (true for one with `probe.so`), `:servers`,
  `:ticktime_s`,
  `:pg_scope`, `:mesh` (true: as the node is by default, a member of `:global` that looks for the whole
  cluster; not so here unless asked for, because this virtual machine would make one cluster of the
  nodes of all tests),
  `:args` (further arguments of `tenon run`).
  """
  def start(opts \\ []) do
    name = opts[:name] || Cluster.unique_node("c")
    program = if beam?(), do: start_beam(name, opts), else: start_tenon(name, opts)
    ready = Program.await(program, "ready", Wait.deadline_ms(), &Log.match(&1, :ready))
    name = String.to_atom(ready["node"])
    %__MODULE__{name: name, program: program, port: String.to_integer(ready["port"])}
  end

  @doc "The arguments of `tenon run` for these options."
  def run_args(name, opts) do
    ["run", if(Carrier.long_name?(name), do: "--name", else: "--sname"), to_string(name)] ++
      if(opts[:cookie] == false, do: [], else: ["--cookie", opts[:cookie] || Cluster.cookie()]) ++
      Carrier.run_args(name) ++
      if(opts[:hidden], do: ["--hidden"], else: []) ++
      if(opts[:mesh], do: [], else: ["--no-global", "--no-connect-all"]) ++
      if(opts[:ticktime_s], do: ["--ticktime", to_string(opts[:ticktime_s])], else: []) ++
      if(opts[:pg_scope], do: ["--pg-scope", to_string(opts[:pg_scope])], else: []) ++
      Enum.flat_map(Keyword.get(opts, :connect, []), &["--connect", to_string(&1)]) ++
      if(Keyword.get(opts, :load, true), do: ["--load", demo_so()], else: []) ++
      if(opts[:probe], do: ["--load", probe_so()], else: []) ++
      if(opts[:servers], do: ["--load", servers_so()], else: []) ++
      Keyword.get(opts, :args, [])
  end

  @doc "The pairs of the first such event after `mark`; an error when it does not come in time."
  def await_event(%__MODULE__{program: program}, event, expected \\ [], opts \\ []) do
    what = "event=#{event} #{inspect(expected)}"

    Program.await(
      program,
      what,
      Wait.deadline_ms(),
      Keyword.get(opts, :mark, 0),
      &Log.match(&1, event, expected)
    )
  end

  @doc "All such events so far."
  def events(%__MODULE__{program: program}, event) do
    program |> Program.lines() |> Enum.map(&Log.match(&1, event)) |> Enum.reject(&is_nil/1)
  end

  @doc "The resident memory in KiB."
  def rss_kib(%__MODULE__{} = tenon), do: status_kib(tenon, "VmRSS")

  @doc "Resident memory of its own: without the pages of programs and libraries, of which the system maps what it likes."
  def anonymous_kib(%__MODULE__{} = tenon), do: status_kib(tenon, "RssAnon")

  defp status_kib(%__MODULE__{program: program}, field) do
    status = File.read!("/proc/#{Program.os_pid(program)}/status")
    [_, kib] = Regex.run(~r/#{field}:\s+(\d+) kB/, status)
    String.to_integer(kib)
  end

  @doc "Kills the node by `SIGKILL` and waits until it is gone."
  def kill(%__MODULE__{program: program}) do
    Program.signal(program, :KILL)
    Program.await_exit(program)
  end

  @doc """
  Runs the `tenon` command to its end: `{output, exit_status}`.

  What asks a node reaches it as the nodes of this run reach each other.
  """
  def command(args, opts \\ []) do
    System.cmd(executable(), reaching(args), Keyword.merge([stderr_to_stdout: true], opts))
  end

  @doc "The same with standard output alone."
  def command_output(args), do: redirected_command(args, "2>/dev/null")

  @doc "The same with a redirection as the shell writes it."
  def redirected_command(args, redirection) do
    in_shell = ["-c", "exec \"$@\" #{redirection}", "sh", executable() | reaching(args)]
    System.cmd("/bin/sh", in_shell)
  end

  defp reaching([command | _] = args) when command in ~w(ping call dispatch services),
    do: args ++ Carrier.command_args()

  defp reaching(args), do: args

  defp start_tenon(name, opts) do
    {:ok, program} =
      Program.start(executable(),
        args: run_args(name, opts),
        env: Keyword.get(opts, :env, [])
      )

    program
  end

  defp start_beam(name, opts) do
    partitions = Keyword.get(opts, :mesh, false)
    beam_opts = Keyword.merge(opts, name: name, x3m: :erpc, partitions: partitions)
    beam_node = BeamNode.start(beam_opts)
    connect = Keyword.get(opts, :connect, [])
    load? = Keyword.get(opts, :load, true)
    scope = Keyword.get(opts, :pg_scope, :pg)
    :ok = BeamNode.call(beam_node, BeamStandIn, :start, [connect, load?, scope])
    beam_node.program
  end

  defp path(variable, default), do: Path.expand(System.get_env(variable) || default)
end
