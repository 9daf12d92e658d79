defmodule X3m.System.MixProject do
  use Mix.Project

  def project do
    [
      app: :x3m_system,
      version: "0.9.0-standin",
      elixir: "~> 1.10",
      description: "A stand-in for the x3m_system package: same public API and wire protocol",
      deps: []
    ]
  end

  def application do
    [mod: {X3m.System.Application, []}, extra_applications: [:logger, :crypto]]
  end
end
