defmodule TenonHarness.BeamNode do
  @moduledoc """
  A further BEAM node, in its own operating-system process.

  It is driven through its standard input and output, so that driving it needs no distribution and
  leaves no trace in what the node sees of its cluster.
  """

  alias TenonHarness.{Carrier, Cluster, Program, Wait}

  defstruct [:name, :program]

  # What runs on the node may itself wait as long as anything is waited for.
  @call_ms 2 * Wait.deadline_ms()

  @doc """
  Starts a node and waits until it can be driven.

  Options: `:name` (a full name), `:cookie`, `:hidden`, `:ticktime_s`, `:env`, `:erl`
  (further arguments for `erl`), `:partitions` (true: `:global` may disconnect nodes to prevent
  overlapping partitions, as it does by default), `:x3m` (a generation: X3m.System is started with it).
  """
  def start(opts \\ []) do
    name = opts[:name] || Cluster.unique_node("beam")
    env = [{"X3M_GENERATION", to_string(opts[:x3m] || "")} | Keyword.get(opts, :env, [])]
    args = ["-noinput" | name_args(name, opts) ++ Carrier.erl_args(name) ++ paths()]
    args = args ++ Keyword.get(opts, :erl, [])
    args = args ++ ["-s", "Elixir.TenonHarness.BeamNode.Control", "main"]
    {:ok, program} = Program.start(erl(), args: args, env: env, stdin: :own, stop_signal: :KILL)
    Program.await(program, "node #{name}", Wait.deadline_ms(), &(&1 == "@ready"))
    beam_node = %__MODULE__{name: name, program: program}
    if opts[:x3m], do: {:ok, _} = call(beam_node, Application, :ensure_all_started, [:x3m_system])
    beam_node
  end

  @doc "Runs a function on the node and gives what it returns; raises here what it raises there."
  def call(%__MODULE__{} = beam_node, module, function, args, timeout_ms \\ @call_ms) do
    id = to_string(:erlang.unique_integer([:positive]))
    mark = Program.mark(beam_node.program)
    encoded = Base.encode64(:erlang.term_to_binary({module, function, args}))
    Program.command(beam_node.program, "#{id} #{encoded}")
    prefix = "@#{id} "

    reply =
      Program.await(
        beam_node.program,
        "#{inspect(module)}.#{function}",
        timeout_ms,
        mark,
        fn line ->
          if String.starts_with?(line, prefix), do: String.replace_prefix(line, prefix, "")
        end
      )

    case :erlang.binary_to_term(Base.decode64!(reply)) do
      {:returned, value} -> value
      {:failed, text} -> raise "on #{beam_node.name}: " <> text
    end
  end

  @doc "Runs a quoted block on the node, with `bindings` for its variables."
  def eval(beam_node, quoted, bindings, timeout_ms \\ @call_ms) do
    {value, _bindings} = call(beam_node, Code, :eval_quoted, [quoted, bindings], timeout_ms)
    value
  end

  @doc """
  Runs the block on the node: `on beam_node, x: 1 do x + 1 end`.

  Only the variables named in `bindings` are known there; aliases are those of the caller.
  """
  defmacro on(beam_node, bindings, do: block), do: on_node(beam_node, bindings, block, __CALLER__)

  defmacro on(beam_node, bindings_and_block) do
    {block, bindings} = Keyword.pop(bindings_and_block, :do)
    on_node(beam_node, bindings, block, __CALLER__)
  end

  defp on_node(beam_node, bindings, block, caller) do
    expanded =
      Macro.prewalk(block, fn
        {:__aliases__, _, _} = aliased -> Macro.expand(aliased, caller)
        other -> other
      end)

    quote do
      TenonHarness.BeamNode.eval(
        unquote(beam_node),
        unquote(Macro.escape(expanded)),
        unquote(bindings)
      )
    end
  end

  @doc "The `erl` of the running system."
  def erl do
    beside = :code.root_dir() |> to_string() |> Path.join("bin/erl")
    if File.exists?(beside), do: beside, else: System.find_executable("erl")
  end

  defp name_args(name, opts) do
    [if(Carrier.long_name?(name), do: "-name", else: "-sname"), to_string(name)] ++
      ["-setcookie", opts[:cookie] || Cluster.cookie()] ++
      if(opts[:hidden], do: ["-hidden"], else: []) ++
      ["-kernel", "prevent_overlapping_partitions", "#{opts[:partitions] || false}"] ++
      if opts[:ticktime_s], do: ["-kernel", "net_ticktime", "#{opts[:ticktime_s]}"], else: []
  end

  # Elixir and what this project compiles to; the rest is in every erl.
  defp paths do
    root = to_string(:code.root_dir())

    for path <- :code.get_path(),
        path = to_string(path),
        not String.starts_with?(path, root <> "/lib"),
        File.dir?(path),
        path = Path.expand(path),
        arg <- ["-pa", path],
        do: arg
  end
end
